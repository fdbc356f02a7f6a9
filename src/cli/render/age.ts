const SPANS = [
  [86_400, "d"],
  [3600, "h"],
  [60, "m"],
] as const;

/** How long ago `then` was, in its largest unit: `5s`, `3m`, `2h`, `12d`. A time to come is `0s`. */
export function formatAge(then: Date, now: Date): string {
  const seconds = Math.max(0, Math.floor((now.getTime() - then.getTime()) / 1000));
  for (const [span, unit] of SPANS) if (seconds >= span) return `${Math.floor(seconds / span)}${unit}`;
  return `${seconds}s`;
}
