import type { Measured } from "./benchmark.ts";

/** One of the things that are measured side by side. */
export interface Contender {
  readonly name: string;
  /** How many times less often than the others it is measured, for what takes long; 1 by default. */
  readonly every?: number;
  /** Measures once; clearing up after itself is no part of the figure. */
  sample(): Promise<number>;
}

export interface Sampling {
  /** Samples of each contender that come first and are not counted. */
  readonly warmups: number;
  /** Samples of each that count. */
  readonly runs: number;
  /** How many samples of a contender are taken in a row before it is the next one's turn. */
  readonly turn: number;
  readonly signal: AbortSignal;
}

/**
 * Measures contenders in turns, in another order each round: what the machine does meanwhile, and what one leaves
 * behind for the next, hits all of them alike.
 */
export async function interleave(contenders: readonly Contender[], sampling: Sampling): Promise<Measured[]> {
  const { warmups, runs, turn, signal } = sampling;
  const all = contenders.map((contender) => {
    const every = contender.every ?? 1;
    const uncounted = Math.ceil(warmups / every);
    return { contender, uncounted, wanted: uncounted + Math.ceil(runs / every), samples: [] as number[] };
  });
  const rounds = Math.ceil((warmups + runs) / turn);
  const random = generator();
  for (let round = 1; round <= rounds; round++) {
    for (const { contender, wanted, samples } of shuffled(all, random)) {
      const due = Math.ceil((wanted * round) / rounds);
      while (samples.length < due) {
        signal.throwIfAborted();
        samples.push(await contender.sample());
      }
    }
  }
  return all.map(({ contender: { name }, samples, uncounted }) => ({ name, samples: samples.slice(uncounted) }));
}

/** Numbers in [0, 1) that are the same in every run: mulberry32. */
function generator(): () => number {
  let state = 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const keyed = items.map((item) => ({ item, key: random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}
