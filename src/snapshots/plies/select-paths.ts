/**
 * Whether a path is among those that patterns name; without a pattern all are. A pattern without wildcards names a path and
 * what is below it; `*` stands for anything in a name, `**` for any names, `?` for one character.
 */
export function pathSelector(patterns: readonly string[] = []): (path: string) => boolean {
  if (patterns.length === 0) return () => true;
  const expressions = patterns.map(expressionOf);
  // What lies below a path that is named is named too.
  return (path) => expressions.some((expression) => expression.test(path));
}

function expressionOf(pattern: string): RegExp {
  const bytes = Buffer.from(pattern.replace(/^\/+|\/+$/g, "")).toString("latin1");
  if (bytes === "") return /^/;
  const source = bytes
    .split("/")
    .map((name) =>
      name === "**"
        ? "**"
        : name
            .replace(/[.+^${}()|[\]\\]/g, "\\$&")
            .replace(/\*+/g, "[^/]*")
            .replace(/\?/g, "[^/]"),
    )
    .join("/")
    .replace(/^\*\*\//, "(?:.*/)?")
    .replace(/\/\*\*\//g, "/(?:.*/)?")
    .replace(/\/\*\*$/, "/.*")
    .replace(/^\*\*$/, ".*");
  return new RegExp(`^${source}(?:/.*)?$`, "s");
}
