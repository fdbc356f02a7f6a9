import { PlyboxError } from "../../model/errors.ts";

/** One end of a copy: a file of a sandbox, one of this machine, or the standard stream of the command. */
export type Place =
  | { readonly kind: "inner"; readonly sandbox: string; readonly path: string }
  | { readonly kind: "local"; readonly path: string }
  | { readonly kind: "stream" };

/** `NAME:/path` is inside; whatever has a slash before its first colon is local, as for scp. */
export function parsePlace(text: string): Place {
  if (text === "-") return { kind: "stream" };
  const match = /^([a-z0-9][a-z0-9_-]*):(.*)$/s.exec(text);
  if (match === null) return { kind: "local", path: text };
  const [, sandbox = "", path = ""] = match;
  if (path.startsWith("/")) return { kind: "inner", sandbox, path };
  throw new PlyboxError("input/invalid", `the path inside must be absolute: ${JSON.stringify(text)}`);
}

/** What a copy is called where its destination is a directory; nothing for `/` and for what ends with `/.`. */
export function baseName(path: string): string | undefined {
  if (/(?:^|\/)\.\/*$/.test(path)) return undefined;
  const name = path.replace(/\/+$/, "").split("/").at(-1);
  return name === "" || name === ".." ? undefined : name;
}
