import { PlyboxError } from "./errors.ts";

/**
 * Parses `NAME=VALUE`, an argument of a Dockerfile.
 * @throws PlyboxError `input/invalid`
 */
export function parseBuildArgument(text: string, field: string): readonly [name: string, value: string] {
  const equals = text.indexOf("=");
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new PlyboxError("input/invalid", `${JSON.stringify(text.slice(0, 80))} is no NAME=VALUE`, { field });
}
