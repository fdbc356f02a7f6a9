export interface Summary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/**
 * The nearest rank: the least sample that `percent` of all samples do not exceed, so always a value that was measured.
 * @param sorted in ascending order, at least one
 */
export function percentile(sorted: readonly number[], percent: number): number {
  const rank = Math.max(1, Math.ceil((sorted.length * percent) / 100));
  const sample = sorted[rank - 1];
  if (sample === undefined) throw new Error(`no percentile ${percent} of ${sorted.length} samples`);
  return sample;
}

/** Every sample counts: none is dropped for being far off. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  return {
    count: sorted.length,
    p50: percentile(sorted, 50),
    p90: percentile(sorted, 90),
    p99: percentile(sorted, 99),
  };
}

/** @param values at least one */
export function average(values: readonly number[]): number {
  if (values.length === 0) throw new Error("no average of no values");
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
