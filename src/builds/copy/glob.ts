import type { Pattern } from "../../base/pattern.ts";
import { ANY, matches } from "../../base/pattern.ts";
import { invalid, quoted } from "../dockerfile/refuse.ts";

/** Whether a name is a pattern, as Go's filepath.Match has them: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before any of them. */
export const isGlob = (name: string): boolean => /[*?[\\]/.test(name);

/**
 * Whether names match a pattern, which is of one part of a path.
 * @throws PlyboxError `build/invalid`
 */
export function globPattern(pattern: string, line: number): (name: string) => boolean {
  const parts: Pattern<string>[number][] = [];
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] as string;
    if (character === "*") parts.push(ANY);
    else if (character === "?") parts.push(() => true);
    else if (character === "\\") parts.push(literal(pattern[++at] ?? "\\"));
    else if (character !== "[") parts.push(literal(character));
    else {
      const end = pattern.indexOf("]", at + (pattern[at + 1] === "^" ? 3 : 2));
      if (end === -1) throw invalid(line, `${quoted(pattern)} has a [ without its ]`);
      parts.push(
        oneOf(pattern.slice(at + 1, end), (cause) => invalid(line, `${quoted(pattern)} is no pattern`, cause)),
      );
      at = end;
    }
  }
  return (name) => matches(parts, name);
}

const literal = (wanted: string) => (character: string) => character === wanted;

/** @param inside what is between the brackets of `[a-z]` or `[^a-z]` */
function oneOf(inside: string, refusal: (cause: unknown) => Error): (character: string) => boolean {
  const isNot = inside.startsWith("^");
  const among = inside.slice(isNot ? 1 : 0).replace(/[\\\]^[]/g, "\\$&");
  try {
    const expression = new RegExp(`^[${isNot ? "^" : ""}${among}]$`, "s");
    return (character) => expression.test(character);
  } catch (cause) {
    throw refusal(cause);
  }
}
