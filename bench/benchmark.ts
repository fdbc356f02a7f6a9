export const BENCHMARKS = [
  "create",
  "exec",
  "create-exec-destroy",
  "burst-100",
  "agent-size",
  "agent-rss",
  "agent-ack",
  "single-execute",
  "idle-sandbox-memory",
  "file-read",
  "file-write",
  "tar-10000",
  "file-reads",
  "machine-file-reads",
  "compute",
  "hello-memory",
] as const;

export type BenchmarkName = (typeof BENCHMARKS)[number];

export interface Measured {
  readonly name: string;
  /** In the benchmark's unit, in the order in which they were taken. */
  readonly samples: readonly number[];
}

/** A reference that this machine cannot run. */
export interface Unavailable {
  readonly name: string;
  readonly reason: string;
}

/** What one benchmark found. */
export interface Benchmark {
  readonly name: BenchmarkName;
  readonly unit: "ms" | "KiB";
  /** What is measured, from when to when, and how often. */
  readonly method: string;
  readonly ours: readonly number[];
  /** The first one is what ours is compared with in the JSON. */
  readonly references: readonly (Measured | Unavailable)[];
  /** Further findings, a line each. */
  readonly notes: readonly string[];
}
