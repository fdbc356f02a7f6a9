/** What a process held at one moment of a run. */
export interface Reading {
  /** How much of the work was done, 0 to 1. */
  readonly progress: number;
  readonly rssKiB: number;
  readonly descriptors: number;
}

export interface Growth {
  /** Medians of the first and of the last quarter. */
  readonly earlyKiB: number;
  readonly lateKiB: number;
  /** 0.1 is a tenth more. */
  readonly ratio: number;
}

const EARLY = [0, 0.25] as const;
const LATE = [0.75, 1] as const;

/**
 * How much memory grew while the same work went on.
 * @throws Error when there are no readings of both stretches
 */
export function growthOf(readings: readonly Reading[]): Growth {
  const earlyKiB = medianBetween(readings, EARLY);
  const lateKiB = medianBetween(readings, LATE);
  return { earlyKiB, lateKiB, ratio: lateKiB / earlyKiB - 1 };
}

function medianBetween(readings: readonly Reading[], [from, to]: readonly [number, number]): number {
  const sizes = readings
    .filter(({ progress }) => progress >= from && progress <= to)
    .map(({ rssKiB }) => rssKiB)
    .sort((a, b) => a - b);
  const median = sizes[Math.floor(sizes.length / 2)];
  if (median === undefined) throw new Error(`there is no reading between ${from} and ${to} of the work`);
  return median;
}
