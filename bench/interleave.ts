import type { Measured } from "./benchmark.ts";

/** One of the things that are measured side by side. */
export interface Contender {
  readonly name: string;
  /** Takes part in each round whose number this divides; 1 by default. What takes long is measured less often. */
  readonly every?: number;
  /** Measures once; clearing up after itself is no part of the figure. */
  sample(): Promise<number>;
}

export interface Rounds {
  /** Rounds that come first and are not counted. */
  readonly warmups: number;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

/**
 * Measures each contender once a round, in another order each round: what the machine does meanwhile, and what one
 * leaves behind for the next, hits all of them alike.
 */
export async function interleave(contenders: readonly Contender[], rounds: Rounds): Promise<Measured[]> {
  const samples = new Map(contenders.map((contender): [Contender, number[]] => [contender, []]));
  const random = generator();
  for (let round = -rounds.warmups; round < rounds.rounds; round++) {
    for (const contender of shuffled(contenders, random)) {
      rounds.signal.throwIfAborted();
      if (round % (contender.every ?? 1) !== 0) continue;
      const sample = await contender.sample();
      if (round >= 0) samples.get(contender)?.push(sample);
    }
  }
  return [...samples].map(([{ name }, values]) => ({ name, samples: values }));
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
