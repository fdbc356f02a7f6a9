import { PlyboxError } from "../../model/errors.ts";

/**
 * A positive whole number, such as a count of processes.
 * @throws PlyboxError `input/invalid`
 */
export function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d{1,15}$/.test(text) && count >= 1) return count;
  throw new PlyboxError(
    "input/invalid",
    `not a count: ${JSON.stringify(text.slice(0, 40))}; write a whole number from 1`,
  );
}

/**
 * Cores, such as `0.5` or `2`.
 * @throws PlyboxError `input/invalid`
 */
export function parseCores(text: string): number {
  const cores = Number(text);
  if (/^\d{1,6}(\.\d{1,6})?$/.test(text) && cores > 0) return cores;
  throw new PlyboxError("input/invalid", `not a number of cores: ${JSON.stringify(text.slice(0, 40))}; write 0.5 or 2`);
}
