import { PlyboxError } from "../../model/errors.ts";
import type { PackingRequest } from "../../model/layer.ts";

/**
 * `zstd`, or `zstd:15` with a level. Which algorithms and levels there are is the layer store's answer.
 * @throws PlyboxError `input/invalid`
 */
export function parseCompression(text: string): Pick<PackingRequest, "algorithm" | "level"> {
  const [, algorithm, level] = /^([a-z0-9]{1,16})(?::([0-9]{1,4}))?$/.exec(text) ?? [];
  if (algorithm !== undefined) return { algorithm, ...(level !== undefined && { level: Number(level) }) };
  const shown = JSON.stringify(text.slice(0, 40));
  throw new PlyboxError(
    "input/invalid",
    `not a compression: ${shown}; write an algorithm, or one with a level: zstd:15`,
  );
}
