import type { FileEntry, FileStatus, FoundFile, ListedFile } from "../model/file.ts";
import type { FileEntryView, FileStatusView, FoundFileView, ListedFileView } from "./contract.ts";

const octal = (mode: number): string => mode.toString(8).padStart(4, "0");

/** The modification time; what no date can hold is the nearest one. */
export function modifiedAt({ mtimeNs }: Pick<FileEntry, "mtimeNs">): Date {
  const MAX_MS = 8.64e15;
  return new Date(Math.max(-MAX_MS, Math.min(MAX_MS, Math.floor(Number(BigInt(mtimeNs) / 1_000_000n)))));
}

const entryView = (entry: FileEntry): FileEntryView => ({
  ...entry,
  mode: octal(entry.mode),
  mtime: modifiedAt(entry).toISOString(),
});

export const statusView = ({ path, etag, entry }: FileStatus): FileStatusView => ({
  path,
  etag,
  entry: entryView(entry),
});

export const listedView = (listed: ListedFile): ListedFileView =>
  "entry" in listed ? { path: listed.path, entry: entryView(listed.entry) } : listed;

export const foundView = (found: FoundFile): FoundFileView =>
  "entry" in found ? { path: found.path, entry: entryView(found.entry) } : found;
