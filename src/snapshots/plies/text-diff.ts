import { PlyboxError } from "../../model/errors.ts";
import { shownPath } from "./entry.ts";
import type { Node } from "./stack.ts";
import { Stack } from "./stack.ts";
import type { Marks } from "./tree-program.ts";
import { TreeProgram } from "./tree-program.ts";
import { unifiedDiff } from "./unified-diff.ts";

/** Of each of two files at most so many bytes are compared as text. */
const MOST_BYTES = 1_048_576;

export type TextDiff =
  | { readonly kind: "text"; readonly unified: string }
  /** One of the two is no UTF-8, or has NULs. */
  | { readonly kind: "binary" }
  | { readonly kind: "too-large"; readonly mostBytes: number };

export interface TextDiffOptions {
  readonly mostBytes?: number;
  /** Unchanged lines that are shown around what changed. */
  readonly contextLines?: number;
}

export interface TextDiffPlies extends TextDiffOptions {
  /** Absolute paths of plies, the lowest first. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** One character a byte. */
  readonly path: string;
  readonly marks?: Marks;
}

/**
 * The unified diff of what two stacks of plies have at one path.
 * @throws PlyboxError `file/not-found` where neither has anything, and as `TreeRequests.ask`
 */
export async function textDiffPlies({ before, after, path, marks, ...options }: TextDiffPlies): Promise<TextDiff> {
  await using program = new TreeProgram(marks);
  const [one, other] = await Promise.all(
    [before, after].map(async (plies) => {
      const node = await (await Stack.open(program, plies)).find(path);
      return node?.entry.kind === "whiteout" ? undefined : node;
    }),
  );
  if (one === undefined && other === undefined) {
    throw new PlyboxError("file/not-found", `${shownPath(path)} is in neither of the two`);
  }
  return await textDiff(one, other, options);
}

/**
 * The unified diff of two files; undefined where there is none stands for an empty one, and what is no file is compared as
 * if it were empty.
 */
export async function textDiff(
  before: Node | undefined,
  after: Node | undefined,
  { mostBytes = MOST_BYTES, contextLines = 3 }: TextDiffOptions = {},
): Promise<TextDiff> {
  const files = [before, after].map((node) => (node?.entry.kind === "file" ? node : undefined));
  if (files.some((file) => file !== undefined && file.entry.size > mostBytes)) return { kind: "too-large", mostBytes };
  const [one, other] = await Promise.all(files.map(readText));
  if (one === undefined || other === undefined) return { kind: "binary" };
  const names = [before, after].map((node, i) => (node === undefined ? "/dev/null" : `${"ab"[i]}/${nameOf(node)}`));
  return { kind: "text", unified: unifiedDiff(one, other, { names: [names[0] ?? "", names[1] ?? ""], contextLines }) };
}

/** Undefined for what is no text. */
async function readText(file: Node | undefined): Promise<string | undefined> {
  if (file === undefined) return "";
  const bytes = Buffer.alloc(file.entry.size);
  for await (const piece of file.tree.content(file.path)) piece.bytes.copy(bytes, piece.offset);
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Without what would make lines of its own in a diff's head. */
const nameOf = ({ path }: Node): string =>
  Buffer.from(path, "latin1")
    .toString()
    .replace(/[\n\r\t\\"]/g, (character) => JSON.stringify(character).slice(1, -1));
