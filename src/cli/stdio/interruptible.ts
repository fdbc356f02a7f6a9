import { PlyboxError } from "../../model/errors.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import { Interrupts } from "./interrupts.ts";

/** Does work that a signal ends, whose exit code the command then has: whoever sent it knows why nothing more is said. */
export async function interruptible(context: CliContext, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) =>
    abort.abort(new PlyboxError("aborted", `interrupted by ${signal}`)),
  );
  try {
    await work(abort.signal);
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  }
}
