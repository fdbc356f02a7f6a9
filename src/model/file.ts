import type { ErrorCode } from "./errors.ts";

/** A path or a name: text where it is UTF-8, the base64 of its bytes where it is not. */
export type PathText = string | { readonly base64: string };

export const FILE_TYPES = [
  "file",
  "directory",
  "symlink",
  "fifo",
  "socket",
  "character-device",
  "block-device",
] as const;
export type FileType = (typeof FILE_TYPES)[number];

/** What a directory knows of one name. */
export interface FileEntry {
  readonly name: PathText;
  readonly type: FileType;
  readonly size: number;
  /** The permission bits, 12 of them. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970, which a number cannot hold. */
  readonly mtimeNs: string;
  readonly inode: string;
  readonly links: number;
  /** Where a symlink points to. */
  readonly target?: PathText;
}

export interface FileStatus {
  readonly entry: FileEntry;
  /** Another one when the content is another. */
  readonly etag: string;
  /** With every symlink on the way resolved. */
  readonly path: PathText;
}

/** What was opened for reading: bytes `[from, to)` of it follow. */
export interface OpenedFile {
  readonly entry: FileEntry;
  readonly etag: string;
  readonly from: number;
  readonly to: number;
}

/** One line of a list: an entry, or why a directory could not be read. */
export type ListedFile =
  | { readonly path: PathText; readonly entry: FileEntry }
  | { readonly path: PathText; readonly error: { readonly code: ErrorCode } };

/** A hit by name, or the line of a file that holds the content. */
export type FoundFile =
  | { readonly path: PathText; readonly entry: FileEntry }
  | { readonly path: PathText; readonly line: number; readonly column: number; readonly text: PathText };

export const FILE_CHANGES = ["created", "modified", "removed", "attributes", "moved", "overflow", "gone"] as const;

/** What happened below a path that is watched. */
export interface FileChange {
  readonly kind: (typeof FILE_CHANGES)[number];
  /** Below the watched path; `.` is that itself. An overflow has none. */
  readonly path?: PathText;
  /** Of what was created or moved, where it was still there. */
  readonly type?: FileType;
  /** Where what moved was before. */
  readonly from?: PathText;
}

/** How a file is written: in place of the old content, as a file that must not be there yet, or behind the content. */
export const WRITE_KINDS = ["replace", "create", "append"] as const;

/** For the messages and events that are text: what is not UTF-8 becomes U+FFFD. */
export const shownPath = (path: PathText): string =>
  typeof path === "string" ? path : Buffer.from(path.base64, "base64").toString();
