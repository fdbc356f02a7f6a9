import { decodeBase64 } from "./base64.ts";
import type { CallOptions } from "./connection.ts";
import type { PathInput } from "./file-views.ts";
import { pathText } from "./file-views.ts";

/** What every call on files takes. */
export interface FileCallOptions extends CallOptions {
  /** Whose rights count inside: `name`, `uid`, `name:group` or `uid:gid`; root by default. */
  readonly user?: string;
}

export interface StatOptions extends FileCallOptions {
  /** Whether a symlink at the path is followed; true by default. */
  readonly follow?: boolean;
}

export interface ListFilesOptions extends FileCallOptions {
  /** Levels below the path; 1 by default, `Infinity` for all. */
  readonly depth?: number;
  /** Whether names that begin with a dot are told; true by default. */
  readonly hidden?: boolean;
  /** Entries of a request, at most 10,000; the iteration goes through all pages. */
  readonly pageSize?: number;
}

export interface MkdirOptions extends FileCallOptions {
  /** 0o755 by default. */
  readonly mode?: number;
  /** Make what is missing above it; a directory that is there is fine. */
  readonly parents?: boolean;
}

export interface MoveOptions extends FileCallOptions {
  /** Take the place of a file that is there. */
  readonly overwrite?: boolean;
  readonly parents?: boolean;
}

export interface RemoveOptions extends FileCallOptions {
  /** A directory with all that is in it. */
  readonly recursive?: boolean;
  /** What is not there counts as removed. */
  readonly missing?: boolean;
}

export interface ChmodOptions extends FileCallOptions {
  readonly recursive?: boolean;
}

export interface ChownOptions extends ChmodOptions {
  /** Whether a symlink at the path is followed; true by default. */
  readonly follow?: boolean;
}

export interface SymlinkOptions extends FileCallOptions {
  /** Take the place of a file that is there. */
  readonly overwrite?: boolean;
}

type QueryValue = string | number | boolean | readonly string[] | undefined;

/** The query of a request: bytes of a path that are no UTF-8 are percent-encoded as they are. */
export function fileQuery(path: PathInput, fields: Readonly<Record<string, QueryValue>> = {}): string {
  const parts = [`path=${encodedPath(path)}`];
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) parts.push(`${name}=${encodeURIComponent(String(one))}`);
  }
  return `?${parts.join("&")}`;
}

export function encodedPath(path: PathInput): string {
  const text = pathText(path);
  if (typeof text === "string") return encodeURIComponent(text);
  const hex = (byte: number): string => `%${byte.toString(16).padStart(2, "0")}`;
  return Array.from(path instanceof Uint8Array ? path : decodeBase64(text.base64), hex).join("");
}

/** The octal text that the API takes. */
export const octal = (mode: number | undefined): string | undefined => mode?.toString(8).padStart(4, "0");

/** More levels than any path has. */
export const depthOf = (depth: number | undefined): number | undefined =>
  depth === Number.POSITIVE_INFINITY ? 1_000_000 : depth;
