/** How it is found out whether what a sandbox is for works in it. Times are milliseconds. */
export type ReadyProbe = ProbeTarget & ProbeTimes;

export type ProbeTarget =
  /** Ready when this command exits 0. */
  | { readonly kind: "exec"; readonly command: readonly string[] | string }
  /** Ready when a GET on this port inside is answered with 200 to 399. */
  | { readonly kind: "http"; readonly port: number; readonly path?: string }
  /** Ready when this port inside takes a connection. */
  | { readonly kind: "tcp"; readonly port: number };

interface ProbeTimes {
  /** Between the end of one attempt and the next; 200 by default. */
  readonly intervalMs?: number;
  /** After which an attempt counts as failed; 5,000 by default. */
  readonly attemptMs?: number;
  /** After which it is given up; tried without end by default. */
  readonly timeoutMs?: number;
}

/** What the times of a probe may be, both ends included. */
export const PROBE_BOUNDS = { min: 1, max: 86_400_000 } as const;
