import type { IncomingHttpHeaders } from "node:http";
import { PlyboxError } from "../model/errors.ts";

/** What a request's headers ask of the file that it reads. */
export interface ReadConditions {
  /** The first byte and the one behind the last; `last` alone is that many bytes at the end. */
  readonly range: { readonly from: number; readonly to?: number } | { readonly last: number } | undefined;
  /** The range counts only for this etag; otherwise all of the file is sent. */
  readonly ifRange: string | undefined;
  readonly ifMatch: string | undefined;
  /** Etags that the client has; `*` is any. */
  readonly ifNoneMatch: readonly string[];
}

const ETAG = /^"([!#-~]{1,128})"$/;

/** Several ranges, and what is no range of bytes, are passed over: all of the file is a right answer to them. */
export function readConditions(headers: IncomingHttpHeaders): ReadConditions {
  const ifRange = headers["if-range"]?.toString();
  return {
    range: parseRange(headers.range),
    // A date counts as another file: it tells seconds apart, and files change faster.
    ifRange: ifRange === undefined ? undefined : (ETAG.exec(ifRange)?.[1] ?? "?"),
    ifMatch: matchOf(headers["if-match"]),
    ifNoneMatch: listOf(headers["if-none-match"]),
  };
}

function parseRange(text: string | undefined): ReadConditions["range"] {
  const match = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/.exec(text?.trim() ?? "");
  if (match === null) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "") return last === "" ? undefined : { last: Number(last) };
  if (last === "") return { from: Number(first) };
  return Number(last) < Number(first) ? undefined : { from: Number(first), to: Number(last) + 1 };
}

/** What a write may replace: the one etag of if-match, or nothing at all where if-none-match is `*`. */
export function writeConditions(headers: IncomingHttpHeaders): { readonly ifMatch?: string; readonly isNew: boolean } {
  const none = headers["if-none-match"];
  if (none !== undefined && none.trim() !== "*") {
    throw new PlyboxError("input/invalid", "a write takes if-none-match: * alone", { field: "if-none-match" });
  }
  const ifMatch = matchOf(headers["if-match"]);
  return { ...(ifMatch !== undefined && { ifMatch }), isNew: none !== undefined };
}

function matchOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const etag = ETAG.exec(text.trim())?.[1];
  if (etag !== undefined) return etag;
  throw new PlyboxError("input/invalid", "if-match takes one etag, in quotes", { field: "if-match" });
}

const listOf = (text: string | undefined): readonly string[] =>
  (text ?? "")
    .split(",")
    .map((part) => part.trim().replace(/^W\//, ""))
    .flatMap((part) => (part === "*" ? ["*"] : (ETAG.exec(part)?.[1] ?? [])));
