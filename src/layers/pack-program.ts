import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { PlyboxError } from "../model/errors.ts";
import type { Compression } from "./compression.ts";
import { findProgram, PROGRAM_ENVIRONMENT } from "./programs.ts";

const PROGRESS_EVERY_MS = 200;
const KEPT_STDERR_CHARACTERS = 4096;

/** How far a build is: `doneBytes` of an archive have come, or of `totalBytes` of files have been packed. */
export interface BuildProgress {
  readonly step: "read" | "pack";
  readonly doneBytes: number;
  /** Null while nobody knows. */
  readonly totalBytes: number | null;
}

export interface PackOptions {
  /** Absolute path of the tree whose content becomes the image's root. */
  readonly source: string;
  /** Absolute path of the image; it does not exist yet. */
  readonly image: string;
  readonly compression: Compression;
  /** Bytes of files below `source`, for progress. */
  readonly totalBytes: number;
  /** Directories below `source` that are mounts; they are left out. */
  readonly mounts: readonly string[];
  /** Seconds since 1970 that every file gets; their own times are kept without it. */
  readonly fileTime?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
}

export interface PackRun extends Pick<PackOptions, "totalBytes" | "signal" | "onProgress"> {
  /** Absolute path of the program. */
  readonly program: string;
  readonly args: readonly string[];
  /** What it reads from its stdin; whoever makes the stream tells the progress. */
  readonly input?: Readable;
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Runs a program that makes an image.
 * @throws PlyboxError `layer/build-failed` with its complaint, `aborted`; whatever `input` fails with
 */
export async function runPacker(run: PackRun): Promise<void> {
  const { input, signal } = run;
  const setpriv = await findProgram("setpriv");
  // A builder that is killed takes the program with it.
  const [program, ...args] =
    setpriv === undefined ? [run.program, ...run.args] : [setpriv, "--pdeathsig", "KILL", run.program, ...run.args];
  const child = spawn(program, args, {
    stdio: [input === undefined ? "ignore" : "pipe", "ignore", "pipe"],
    env: { ...PROGRAM_ENVIRONMENT, ...run.environment },
  });
  const closed = once(child, "close") as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  // Its input is waited for first, and a program that cannot be started has failed before that.
  closed.catch(() => {});
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-KEPT_STDERR_CHARACTERS);
  });
  const kill = () => void child.kill("SIGKILL");
  signal?.addEventListener("abort", kill);
  if (signal?.aborted) kill();
  const timer = input === undefined && child.pid !== undefined ? reportProgress(child.pid, run) : undefined;
  try {
    const fed = input === undefined || child.stdin === null ? undefined : pipeline(input, child.stdin);
    // A program that ends early closes its stdin, which says less than its own complaint.
    const failure = await fed?.then(
      () => undefined,
      (error: NodeJS.ErrnoException) => (error.code === "EPIPE" ? undefined : error),
    );
    if (failure !== undefined) kill();
    const [code, killedBy] = await closed;
    if (signal?.aborted) throw new PlyboxError("aborted", "the build was aborted", { cause: signal.reason });
    if (failure !== undefined) throw failure;
    const name = run.program.slice(run.program.lastIndexOf("/") + 1);
    if (code !== 0) {
      const reason = complaint.trim() || (killedBy === null ? `exit code ${code}` : `killed by ${killedBy}`);
      throw new PlyboxError("layer/build-failed", `${name} failed: ${reason}`, { step: name });
    }
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", kill);
  }
  run.onProgress?.({ step: "pack", doneBytes: run.totalBytes, totalBytes: run.totalBytes });
}

/** Both programs tell their progress late or not at all, so what they have read is asked of the kernel. */
function reportProgress(pid: number, { onProgress, totalBytes }: PackRun): NodeJS.Timeout | undefined {
  if (onProgress === undefined) return undefined;
  let doneBytes = 0;
  return setInterval(async () => {
    const text = await readFile(`/proc/${pid}/io`, "utf8").catch(() => "");
    // They read a little besides the files, and their own output again to find duplicates.
    const read = Math.min(Number(/^rchar: (\d+)$/m.exec(text)?.[1] ?? 0), totalBytes);
    if (read <= doneBytes) return;
    doneBytes = read;
    onProgress({ step: "pack", doneBytes, totalBytes });
  }, PROGRESS_EVERY_MS);
}
