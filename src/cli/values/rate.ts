import { PlyboxError } from "../../model/errors.ts";

const SHAPE = /^(\d+(?:\.\d+)?)\/([smh])(?::(\d+))?$/;
const PER_MINUTE: Readonly<Record<string, number>> = { s: 60, m: 1, h: 1 / 60 };

/**
 * Reads `600/m`, `10/s`, `100/h` and, with how many may come at once, `600/m:50`. Without, a tenth of what comes in a
 * minute may, and one at least.
 * @throws PlyboxError `input/invalid`
 */
export function parseRate(text: string): { readonly perMinute: number; readonly burst: number } {
  const [, number, unit = "", burst] = SHAPE.exec(text.trim()) ?? [];
  const perMinute = Number(number) * (PER_MINUTE[unit] ?? Number.NaN);
  const most = burst === undefined ? Math.max(1, Math.round(perMinute / 10)) : Number(burst);
  if (perMinute > 0 && most >= 1) return { perMinute, burst: most };
  throw new PlyboxError(
    "input/invalid",
    `not a rate: ${JSON.stringify(text.slice(0, 40))}; write a number with /s, /m or /h, such as 600/m or 600/m:50`,
  );
}
