import { PlyboxError } from "../../model/errors.ts";
import { LABEL_KEY } from "../../model/sandbox.ts";

const HINT = "a key is 1 to 63 letters, digits and . _ - /, with a letter or digit at both ends";

/**
 * A label `key=value`; the value may be empty.
 * @throws PlyboxError `input/invalid`
 */
export function parseLabel(text: string): readonly [key: string, value: string] {
  const equals = text.indexOf("=");
  if (equals === -1) throw invalid(text, "write key=value");
  return [parseKey(text.slice(0, equals), text), text.slice(equals + 1)];
}

/**
 * A label that is wanted: `key=value`, or `key` with any value.
 * @throws PlyboxError `input/invalid`
 */
export function parseWantedLabel(text: string): readonly [key: string, value: string | true] {
  return text.includes("=") ? parseLabel(text) : [parseKey(text, text), true];
}

/**
 * A change of labels: `key=value` sets one, `key-` takes one away.
 * @throws PlyboxError `input/invalid`
 */
export function parseLabelChange(text: string): readonly [key: string, value: string | null] {
  if (text.includes("=") || !text.endsWith("-")) return parseLabel(text);
  return [parseKey(text.slice(0, -1), text), null];
}

function parseKey(key: string, text: string): string {
  if (LABEL_KEY.test(key)) return key;
  throw invalid(text, HINT);
}

const invalid = (text: string, expected: string): PlyboxError =>
  new PlyboxError("input/invalid", `not a label: ${JSON.stringify(text.slice(0, 80))}; ${expected}`);
