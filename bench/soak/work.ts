import type { Sandbox } from "../../src/client/index.ts";

/** One kind of work: done so many times, so many at once, each in one sandbox. It throws when its result is wrong. */
export interface Work {
  readonly name: string;
  readonly times: number;
  readonly atOnce: number;
  readonly run: (sandbox: Sandbox, number: number) => Promise<void>;
}

/** Does every kind of work at the same time, each in turn over the sandboxes. `onDone` hears of each piece. */
export async function doAll(
  works: readonly Work[],
  sandboxes: readonly Sandbox[],
  { signal, onDone }: { readonly signal: AbortSignal; readonly onDone: () => void },
): Promise<void> {
  const abort = new AbortController();
  const stop = AbortSignal.any([signal, abort.signal]);
  const workers = works.flatMap((work) => {
    const numbers = Array(work.times).keys();
    return Array.from({ length: work.atOnce }, async () => {
      for (const number of numbers) {
        stop.throwIfAborted();
        const sandbox = sandboxes[number % sandboxes.length];
        if (sandbox === undefined) throw new Error("there is no sandbox");
        await work.run(sandbox, number);
        onDone();
      }
    });
  });
  try {
    await Promise.all(workers);
  } catch (error) {
    // The others end before anything is taken away under them.
    abort.abort(error);
    await Promise.allSettled(workers);
    throw error;
  }
}

/** @throws Error that shows both */
export function mustEqual(what: string, actual: unknown, expected: unknown): void {
  if (actual === expected) return;
  throw new Error(`${what}: got ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
}
