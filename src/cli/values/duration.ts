import { PlyboxError } from "../../model/errors.ts";

const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/y;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds of `500ms`, `10s`, `2m`, `1h30m`. A number without a unit is refused: some tools mean seconds by it,
 * others milliseconds.
 * @throws PlyboxError `input/invalid`
 */
export function parseDuration(text: string): number {
  const source = text.trim();
  let ms = 0;
  let end = 0;
  PART.lastIndex = 0;
  for (let part = PART.exec(source); part !== null; part = PART.exec(source)) {
    const [, number, unit] = part;
    ms += Number(number) * (UNIT_MS[unit ?? ""] ?? Number.NaN);
    end = PART.lastIndex;
  }
  if (end === 0 || end !== source.length) throw invalid(text, "write a number with ms, s, m, h or d, such as 10s");
  const whole = Math.round(ms);
  if (whole < 1) throw invalid(text, "it must be at least 1ms");
  if (whole > Number.MAX_SAFE_INTEGER) throw invalid(text, "it is longer than any machine runs");
  return whole;
}

/** `10s` for 10000, `1m30s` for 90000, `500ms` for 500: what `parseDuration` reads back. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const seconds = Math.round(ms / 100) / 10;
  if (seconds < 60) return `${seconds}s`;
  const whole = Math.round(seconds);
  const parts = [
    [Math.floor(whole / 3600), "h"],
    [Math.floor((whole % 3600) / 60), "m"],
    [whole % 60, "s"],
  ] as const;
  return parts.map(([count, unit]) => (count > 0 ? `${count}${unit}` : "")).join("");
}

function invalid(text: string, expected: string): PlyboxError {
  return new PlyboxError("input/invalid", `not a duration: ${JSON.stringify(text.slice(0, 40))}; ${expected}`);
}
