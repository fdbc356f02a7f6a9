import { PlyboxError } from "../../model/errors.ts";

/** What a Dockerfile says that cannot be; `line` counts from 1. */
export const invalid = (line: number, message: string, cause?: unknown): PlyboxError =>
  new PlyboxError("build/invalid", `line ${line}: ${message}`, { line, cause });

/** What other builders do, and this one does not. */
export const unsupported = (line: number, message: string): PlyboxError =>
  new PlyboxError("build/unsupported", `line ${line}: ${message}`, { line });

/** A word as an error shows it. */
export const quoted = (text: string): string => JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
