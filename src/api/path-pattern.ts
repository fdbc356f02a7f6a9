import { PlyboxError } from "../model/errors.ts";

export type PathParams = Readonly<Record<string, string>>;

/**
 * What the segments of `pattern` that begin with `:` are in `path`, decoded; undefined where it does not match. For the
 * requests that do not go through the router, because they are answered on the bare connection.
 * @throws PlyboxError `input/invalid` for a segment whose percent-encoding is broken
 */
export function matchPath(pattern: string, path: string): PathParams | undefined {
  if (!isAt(pattern, path)) return undefined;
  const given = path.split("/");
  const params: Record<string, string> = Object.create(null);
  for (const [index, segment] of pattern.split("/").entries()) {
    const name = segment.slice(1);
    if (segment.startsWith(":")) params[name] = decode(given[index] ?? "", name);
  }
  return params;
}

/** Whether `path` is one of those that `pattern` stands for. */
export function isAt(pattern: string, path: string): boolean {
  const wanted = pattern.split("/");
  const given = path.split("/");
  return (
    wanted.length === given.length &&
    wanted.every((segment, index) => (segment.startsWith(":") ? given[index] !== "" : given[index] === segment))
  );
}

function decode(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new PlyboxError("input/invalid", `${JSON.stringify(text)} is not percent-encoded`, { field: name, cause });
  }
}
