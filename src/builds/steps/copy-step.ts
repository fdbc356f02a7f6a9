import { open, writeFile } from "node:fs/promises";
import { posix } from "node:path";
import { Readable } from "node:stream";
import type { Node } from "../../layers/tar/layer-tree.ts";
import { directory } from "../../layers/tar/layer-tree.ts";
import { writeTar } from "../../layers/tar/tar-writer.ts";
import type { Ownership } from "../copy/copied.ts";
import { owned } from "../copy/copied.ts";
import type { Found } from "../copy/find-sources.ts";
import { parseMode, parseOwner } from "../copy/owner.ts";
import { place } from "../copy/place.ts";
import type { CopyInstruction, Instruction } from "../dockerfile/instructions.ts";
import { invalid } from "../dockerfile/refuse.ts";
import type { StageState } from "../dockerfile/stage-state.ts";
import { pathIn, variablesOf } from "../dockerfile/stage-state.ts";
import { expand, expandDocument } from "../dockerfile/words.ts";
import type { FileTree } from "../file-tree.ts";
import { toBytes } from "../file-tree.ts";
import type { Step } from "./step-runner.ts";
import type { StepSandbox } from "./step-sandbox.ts";

export type Copy = Extract<Instruction, CopyInstruction>;

/** Something to copy, and where its contents are. */
export interface Source extends Found {
  readonly tree: Pick<FileTree, "file">;
}

/** A COPY or an ADD with its variables replaced. */
export interface CopyOrder {
  readonly line: number;
  /** `COPY` or `ADD`, with what stands behind it. */
  readonly text: string;
  readonly sources: readonly string[];
  /** Absolute. */
  readonly target: string;
  readonly isIntoDirectory: boolean;
  readonly owner: string | null;
  readonly mode: number | null;
  readonly documents: readonly { readonly name: string; readonly content: string }[];
}

/** @throws PlyboxError `build/invalid`, `build/unsupported` */
export function orderOf(copy: Copy, state: StageState): CopyOrder {
  const variables = variablesOf(state);
  const expanded = (word: string): string => expand(word, variables, copy);
  const target = expanded(copy.target);
  const sources = copy.sources.map(expanded);
  const documents = copy.documents.map(({ name, content, expands }) => ({
    name,
    content: expands ? expandDocument(content, variables, copy) : content,
  }));
  const isIntoDirectory = /(?:^|\/)\.{0,2}$/.test(target);
  if (target === "") throw invalid(copy.line, "the target is empty");
  if (sources.length + documents.length > 1 && !isIntoDirectory) throw several(copy.line);
  return {
    ...{ line: copy.line, text: `${copy.keyword} ${copy.text}`, sources, documents, isIntoDirectory },
    target: pathIn(state, target),
    owner: copy.owner === null ? null : expanded(copy.owner),
    mode: copy.mode === null ? null : parseMode(expanded(copy.mode), copy.line),
  };
}

/** The documents of a copy as files, whose contents are put into the file at `path`. */
export async function documentSources({ documents }: CopyOrder, path: string): Promise<readonly Source[]> {
  await writeFile(path, documents.map(({ content }) => content).join(""));
  const file = await open(path, "r");
  let offset = 0;
  return documents.map(({ name, content }) => {
    const size = Buffer.byteLength(content);
    const node: Node = { ...directory(), type: "file", mode: 0o644, size, offset, isImplied: false };
    offset += size;
    return { name: toBytes(posix.basename(name)), node, tree: { file } };
  });
}

/**
 * A copy as a step.
 * @param origin what stands for the sources' contents
 * @param find brings the sources, where there is no layer of it yet
 */
export function copyStep(order: CopyOrder, origin: unknown, find: () => Promise<readonly Source[]>): Step {
  const { target, isIntoDirectory, owner, mode, text, line } = order;
  let sources: readonly Source[] = [];
  return {
    kind: "copy",
    key: ["copy", origin, target, isIntoDirectory, owner, mode],
    text,
    async prepare() {
      sources = await find();
      if (sources.length > 1 && !isIntoDirectory) throw several(line);
    },
    async work(sandbox) {
      const ownership = await ownershipOf(order, sandbox);
      for (const { name, node, tree } of sources) {
        const goal = { path: toBytes(target), isDirectory: isIntoDirectory, line };
        const placed = await place({ name, node: owned(node, ownership) }, goal, sandbox);
        await sandbox.unpack(Readable.from(writeTar(placed, tree.file, { implied: false }), { objectMode: false }));
      }
    },
  };
}

const several = (line: number): Error =>
  invalid(line, "several sources go into a directory: the target has to end with /");

async function ownershipOf({ owner, mode, line }: CopyOrder, sandbox: StepSandbox): Promise<Ownership> {
  if (owner === null) return { owner: null, mode };
  const accounts = { passwd: () => sandbox.readText("/etc/passwd"), group: () => sandbox.readText("/etc/group") };
  return { owner: await parseOwner(owner, accounts, line), mode };
}
