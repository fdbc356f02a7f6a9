/**
 * What would have a terminal do something instead of showing it: control characters of both kinds (some terminals take
 * U+009B for the beginning of a command), ends of lines, and marks that turn the direction of what follows.
 */
const COMMANDS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
/** Of these, what JSON leaves as it is. */
const LEFT_BY_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** `text` with another character in place of each command. */
export const masked = (text: string, by = "?"): string => text.replace(COMMANDS, by);

/** `text` with each command written out, as in `\n` and `\u001b`. */
export const writtenOut = (text: string): string =>
  text.replace(COMMANDS, (character) => jsonLine(character).slice(1, -1));

/** A JSON text with each command in it written out; its value is the same. */
export const harmlessJson = (json: string): string =>
  json.replace(LEFT_BY_JSON, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** `value` as such a JSON text. */
export const jsonLine = (value: unknown, indent?: number): string => harmlessJson(JSON.stringify(value, null, indent));
