import { PlyboxError } from "../../model/errors.ts";
import { parseDuration } from "./duration.ts";

/** RFC 3339, with its zone. */
const TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/**
 * A point in time: so long ago, such as `10m`, or the time itself, such as `2026-01-01T12:00:00Z`.
 * @throws PlyboxError `input/invalid`
 */
export function parseMoment(text: string, now: Date): Date {
  const source = text.trim();
  const time = TIME.test(source) ? new Date(source) : new Date(now.getTime() - agoMs(source));
  if (!Number.isNaN(time.getTime())) return time;
  throw invalid(source);
}

function agoMs(text: string): number {
  try {
    return parseDuration(text);
  } catch {
    throw invalid(text);
  }
}

function invalid(text: string): PlyboxError {
  const shown = JSON.stringify(text.slice(0, 40));
  return new PlyboxError(
    "input/invalid",
    `not a time: ${shown}; write how long ago, such as 10m, or a time such as 2026-01-01T12:00:00Z`,
  );
}
