import { inspect } from "node:util";

class Interrupted extends Error {}

/**
 * Runs a program that Ctrl-C ends after the sample that is being taken: what was started is then ended and removed. Sets
 * the exit code of a failure, unless the program has set its own.
 */
export async function runInterruptible(program: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (!abort.signal.aborted) console.error(`\n${name}: ending what was started`);
      abort.abort(new Interrupted(`ended by ${name}`));
    });
  }
  try {
    await program(abort.signal);
  } catch (error) {
    // With its causes: what failed, and what could not be cleared up after it.
    console.error(error instanceof Interrupted ? error.message : inspect(error));
    process.exitCode = error instanceof Interrupted ? 130 : 1;
  }
}
