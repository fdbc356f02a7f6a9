import type { ChildProcess, StdioOptions } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { findProgram, PROGRAM_ENVIRONMENT, requireProgram } from "../../layers/programs.ts";
import { PlyboxError } from "../../model/errors.ts";

/** Of zstd, as snapshots are packed everywhere. */
const LEVEL = "-3";
const KEPT_COMPLAINT = 2048;
const NO_ROOM = /No space left|Disk quota exceeded/;

interface PackStreamOptions {
  /** A read-only subvolume. */
  readonly source: string;
  /** Another, of the same pool: only what differs from it is packed. */
  readonly base?: string;
  /** The file to write; none may be there. */
  readonly target: string;
  readonly signal?: AbortSignal;
}

/**
 * Writes what a subvolume holds, or what of it another lacks, to a file, compressed, as the kernel's own stream of changes:
 * with everything that the file system knows of it. Whoever else wants the processors or the disk goes before it. It has
 * reached the disk when the promise resolves.
 * @returns the file's bytes
 * @throws PlyboxError `checkpoint/no-space`, `checkpoint/packing-failed`, `host/missing`, `aborted`; of the file something may
 *   be there then
 */
export async function packStream({ source, base, target, signal }: PackStreamOptions): Promise<number> {
  const btrfs = await requireProgram("btrfs", "btrfs-progs");
  const zstd = await requireProgram("zstd", "zstd");
  const file = await open(target, "wx", 0o600);
  try {
    const parent = base === undefined ? [] : ["-p", base];
    const send = [btrfs, "-q", "send", ...parent, source];
    await runPiped(send, [zstd, "-q", LEVEL, "-c"], { output: file.fd, isUrgent: false, ...(signal && { signal }) });
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

/**
 * Makes the subvolume again that was packed into a file, by its name, in a directory of a pool. What it was packed against is
 * found among the pool's subvolumes.
 * @throws PlyboxError `checkpoint/no-space`, `checkpoint/packing-failed` where the file is damaged; some of it may be there then
 */
export async function unpackStream(file: string, directory: string): Promise<void> {
  const btrfs = await requireProgram("btrfs", "btrfs-progs");
  const zstd = await requireProgram("zstd", "zstd");
  await runPiped([zstd, "-q", "-d", "-c", file], [btrfs, "-q", "receive", directory], { isUrgent: true });
}

interface PipeOptions {
  /** Where the output of the second one goes; nowhere if absent. */
  readonly output?: number;
  /** Whether somebody waits for it. */
  readonly isUrgent: boolean;
  readonly signal?: AbortSignal;
}

type CommandLine = readonly string[];

/** Runs two programs to their ends, the output of the one being the input of the other. They end with this process. */
async function runPiped(
  from: CommandLine,
  into: CommandLine,
  { output, isUrgent, signal }: PipeOptions,
): Promise<void> {
  if (signal?.aborted) throw aborted(signal);
  const before = await runnersOf(isUrgent);
  const reader = start([...before, ...into], ["pipe", output ?? "ignore", "pipe"]);
  const writer = start([...before, ...from], ["ignore", reader.stdin, "pipe"]);
  // Each has its own end of what is between them; while this process has one too, none would see that the other is gone.
  reader.stdin?.destroy();
  const kill = () => [reader, writer].map((child) => child.kill("SIGKILL"));
  signal?.addEventListener("abort", kill);
  try {
    const [first, second] = await Promise.all([endOf(writer), endOf(reader)]);
    if (signal?.aborted) throw aborted(signal);
    // Whom the other has left is not to blame.
    const failed = [first, second].find(({ code, killedBy }) => code !== 0 && killedBy !== "SIGPIPE") ?? first;
    if (failed.code !== 0) throw failureOf(failed);
  } finally {
    signal?.removeEventListener("abort", kill);
  }
}

/** What a program is run by, so that it ends with this process and, unless somebody waits for it, after all others. */
async function runnersOf(isUrgent: boolean): Promise<readonly string[]> {
  const found = async (name: string, ...args: string[]): Promise<string[]> => {
    const program = await findProgram(name);
    return program === undefined ? [] : [program, ...args];
  };
  const tied = await found("setpriv", "--pdeathsig", "KILL");
  if (isUrgent) return tied;
  return [...tied, ...(await found("nice", "-n", "19")), ...(await found("ionice", "-c", "3"))];
}

const start = ([program = "", ...args]: CommandLine, stdio: StdioOptions): ChildProcess =>
  spawn(program, args, { stdio, env: PROGRAM_ENVIRONMENT });

interface ProgramEnd {
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
  readonly complaint: string;
}

async function endOf(child: ChildProcess): Promise<ProgramEnd> {
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-KEPT_COMPLAINT);
  });
  const [code, killedBy] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, killedBy, complaint: complaint.trim() };
}

function failureOf({ code, killedBy, complaint }: ProgramEnd): PlyboxError {
  const why = complaint || (killedBy === null ? `exit code ${code}` : `killed by ${killedBy}`);
  if (NO_ROOM.test(complaint)) return new PlyboxError("checkpoint/no-space", `there is no room for it: ${why}`);
  return new PlyboxError("checkpoint/packing-failed", `a checkpoint could not be packed or unpacked: ${why}`);
}

const aborted = ({ reason }: AbortSignal): PlyboxError =>
  new PlyboxError("aborted", "the packing was aborted", { cause: reason });
