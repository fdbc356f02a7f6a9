import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { PlyboxError } from "../model/errors.ts";
import { findProgram, PROGRAM_ENVIRONMENT } from "./programs.ts";

const KEPT_STDERR_CHARACTERS = 4096;

export interface ProgramRun {
  /** Absolute path of the program. */
  readonly program: string;
  readonly args: readonly string[];
  /** What it reads from its stdin. */
  readonly input?: Readable;
  readonly environment?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly onStart?: (pid: number) => void;
  /** What it says on stderr, as it comes. */
  readonly onComplaint?: (text: string) => void;
}

/**
 * Runs a program to its end, in an environment of its own.
 * @throws PlyboxError `layer/build-failed` with the last of what it complained of, `aborted`; what `input` fails with
 */
export async function runProgram(run: ProgramRun): Promise<void> {
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
    run.onComplaint?.(text);
  });
  const kill = () => void child.kill("SIGKILL");
  signal?.addEventListener("abort", kill);
  if (signal?.aborted) kill();
  if (child.pid !== undefined) run.onStart?.(child.pid);
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
    signal?.removeEventListener("abort", kill);
  }
}
