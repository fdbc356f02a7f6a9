import { invalid, quoted } from "../dockerfile/refuse.ts";

/** Whether a name is a pattern, as Go's filepath.Match has them: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before any of them. */
export const isGlob = (name: string): boolean => /[*?[\\]/.test(name);

/**
 * What matches the names that a pattern does; a pattern is of one part of a path.
 * @throws PlyboxError `build/invalid`
 */
export function globPattern(pattern: string, line: number): RegExp {
  let text = "";
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] as string;
    if (character === "*") text += ".*";
    else if (character === "?") text += ".";
    else if (character === "\\") text += literal(pattern[++at] ?? "\\");
    else if (character !== "[") text += literal(character);
    else {
      const end = pattern.indexOf("]", at + (pattern[at + 1] === "^" ? 3 : 2));
      if (end === -1) throw invalid(line, `${quoted(pattern)} has a [ without its ]`);
      const inside = pattern.slice(at + 1, end);
      const isNot = inside.startsWith("^");
      text += `[${isNot ? "^" : ""}${inside.slice(isNot ? 1 : 0).replace(/[\\\]^[]/g, "\\$&")}]`;
      at = end;
    }
  }
  try {
    return new RegExp(`^${text}$`, "s");
  } catch (cause) {
    throw invalid(line, `${quoted(pattern)} is no pattern`, cause);
  }
}

const literal = (character: string): string => character.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
