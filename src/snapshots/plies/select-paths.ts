import type { Pattern } from "../../base/pattern.ts";
import { ANY, matches } from "../../base/pattern.ts";

/**
 * Whether a path is among those that patterns name; without a pattern all are. A pattern without wildcards names a path and
 * what is below it; `*` stands for anything in a name, `**` for any names, `?` for one character.
 */
export function pathSelector(patterns: readonly string[] = []): (path: string) => boolean {
  if (patterns.length === 0) return () => true;
  const wanted = patterns.map(namesOf);
  return (path) => {
    const names = path.split("/");
    return wanted.some((pattern) => matches(pattern, names));
  };
}

/** What the names of a path are to be, which is given in the bytes that it has on the disk. */
function namesOf(pattern: string): Pattern<string> {
  const bytes = Buffer.from(pattern.replace(/^\/+|\/+$/g, "")).toString("latin1");
  // What lies below a path that is named is named too.
  if (bytes === "") return [ANY];
  const names = bytes.split("/").map((name) => (name === "**" ? ANY : nameTest(name)));
  // `a/**` is what lies below, and not `a`.
  const below = names.length > 1 && names.at(-1) === ANY ? [() => true] : [];
  return [...names, ...below, ANY];
}

function nameTest(pattern: string): (name: string) => boolean {
  const characters: Pattern<string> = [...pattern].map((wanted) => {
    if (wanted === "*") return ANY;
    return wanted === "?" ? () => true : (character) => character === wanted;
  });
  return (name) => matches(characters, name);
}
