import { PlyboxError } from "../model/errors.ts";

export type PathParams = Readonly<Record<string, string>>;

/**
 * What the segments of `pattern` that begin with `:` are in `path`, decoded; undefined where it does not match. For the
 * requests that do not go through the router, because they are answered on the bare connection.
 * @throws PlyboxError `input/invalid` for a segment whose percent-encoding is broken
 */
export function matchPath(pattern: string, path: string): PathParams | undefined {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (given.length !== wanted.length) return undefined;
  const params: Record<string, string> = Object.create(null);
  for (const [index, segment] of wanted.entries()) {
    const text = given[index] ?? "";
    if (!segment.startsWith(":")) {
      if (segment !== text) return undefined;
    } else if (text === "") return undefined;
    else params[segment.slice(1)] = text;
  }
  // Only now: another route's path may hold anything.
  for (const [name, text] of Object.entries(params)) params[name] = decode(text, name);
  return params;
}

function decode(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new PlyboxError("input/invalid", `${JSON.stringify(text)} is not percent-encoded`, { field: name, cause });
  }
}
