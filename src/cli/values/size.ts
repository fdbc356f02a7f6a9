import { PlyboxError } from "../../model/errors.ts";

const SHAPE = /^(\d+(?:\.\d+)?)\s?(?:(b)|([kmgt])(?:i?b)?)?$/i;
const POWER: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4 };
const UNITS = ["B", "K", "M", "G", "T"] as const;

/**
 * Bytes of `500M`, `1.5G`, `4096`; K, M, G and T are powers of 1,024, with or without `B` or `iB`.
 * @throws PlyboxError `input/invalid`
 */
export function parseSize(text: string): number {
  const [, number, , unit] = SHAPE.exec(text.trim()) ?? [];
  const bytes = Number(number) * 1024 ** (POWER[unit?.toLowerCase() ?? ""] ?? 0);
  if (number === undefined || (unit === undefined && !Number.isInteger(bytes))) {
    throw invalid(text, "write bytes, or a number with K, M, G or T, such as 500M");
  }
  const whole = Math.floor(bytes);
  if (whole < 1) throw invalid(text, "it must be at least one byte");
  if (whole > Number.MAX_SAFE_INTEGER) throw invalid(text, "it is larger than any machine");
  return whole;
}

/** `1.5G` for 1610612736: at most one decimal, never more than four digits before it. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 1023.95 would be shown as 1024.0 of the smaller unit.
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits =
    unit === 0 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "");
  return `${digits}${UNITS[unit]}`;
}

function invalid(text: string, expected: string): PlyboxError {
  return new PlyboxError("input/invalid", `not a size: ${JSON.stringify(text.slice(0, 40))}; ${expected}`);
}
