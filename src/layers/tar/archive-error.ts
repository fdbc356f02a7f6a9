import { PlyboxError } from "../../model/errors.ts";

/** A name as an error shows it; names are carried as one character a byte. */
export const shown = (path: string): string => JSON.stringify(Buffer.from(path.slice(0, 200), "latin1").toString());

export const badArchive = (what: string, cause?: unknown): PlyboxError =>
  new PlyboxError("file/bad-archive", `the archive is refused: ${what}`, { cause });
