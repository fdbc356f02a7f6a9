import type { FileEntryView, FileStatusView, FoundFileView, ListedFileView } from "../api/contract.ts";
import type { FileType, PathText } from "../model/file.ts";
import { encodeBase64 } from "./base64.ts";

export type { PathText } from "../model/file.ts";

/** What a directory knows of one name. */
export interface FileEntry {
  /** Text; `{ base64 }` of its bytes where they are no UTF-8. */
  readonly name: PathText;
  readonly type: FileType;
  readonly size: number;
  /** Permission bits, such as 0o644. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Date;
  /** Where a symlink points to. */
  readonly target?: PathText;
}

export interface FileStatus extends FileEntry {
  /** With every symlink resolved. */
  readonly path: PathText;
  /** Another one when the content is another. */
  readonly etag: string;
}

/** A file of a list; a directory that cannot be read has an `error` instead, and is told once more with a slash. */
export type ListedFile =
  | (FileEntry & { readonly path: PathText })
  | { readonly path: PathText; readonly error: { readonly code: string } };

/** A file found by its name, or a line found by its content. */
export type FoundFile =
  | (FileEntry & { readonly path: PathText })
  | { readonly path: PathText; readonly line: number; readonly column: number; readonly text: PathText };

function entryOf({ name, type, size, mode, uid, gid, mtime, target }: FileEntryView): FileEntry {
  return {
    name,
    type,
    size,
    uid,
    gid,
    mode: Number.parseInt(mode, 8),
    mtime: new Date(mtime),
    ...(target !== undefined && { target }),
  };
}

export const statusOf = ({ path, etag, entry }: FileStatusView): FileStatus => ({ ...entryOf(entry), path, etag });

export const listedOf = (view: ListedFileView): ListedFile =>
  "entry" in view ? { ...entryOf(view.entry), path: view.path } : view;

export const foundOf = (view: FoundFileView): FoundFile =>
  "entry" in view ? { ...entryOf(view.entry), path: view.path } : view;

/** A path as a caller gives it: text, or bytes of what is no UTF-8. */
export type PathInput = PathText | Uint8Array;

export const pathText = (path: PathInput): PathText =>
  path instanceof Uint8Array ? { base64: encodeBase64(path) } : path;
