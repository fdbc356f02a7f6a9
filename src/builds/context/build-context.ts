import type { Node } from "../../layers/tar/layer-tree.ts";
import { BLOCK } from "../../layers/tar/tar-header.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { FileTree, SpoolWork } from "../file-tree.ts";
import { readNode, spoolTree, toBytes, toText } from "../file-tree.ts";
import { archiveDirectory, IGNORE_FILE, readIgnoreFile } from "./directory-context.ts";
import type { IgnoredPaths } from "./ignored-paths.ts";
import { ignoredPaths } from "./ignored-paths.ts";

/** No honest Dockerfile comes near. */
const MOST_DOCKERFILE_BYTES = 1024 * 1024;

/** What a build is made of: an archive with the Dockerfile in it, or a directory of this machine and a Dockerfile's text. */
export type BuildInput =
  | { readonly archive: AsyncIterable<Buffer>; readonly dockerfile: string }
  | {
      /** Null for nothing that could be copied. */
      readonly directory: string | null;
      readonly text: string;
      /** Of the Dockerfile, where it is a file. */
      readonly path?: string;
    };

export interface BuildContext {
  readonly dockerfile: string;
  /** Without what is left out; its files belong to root. */
  readonly tree: FileTree;
}

export interface ContextPlaces {
  /** Where its archive is kept. */
  readonly path: string;
  /** A directory of Plybox's own, which is no part of any context. */
  readonly own: string;
}

/**
 * Reads a context, which is kept as an archive, without what its `.dockerignore` (or `NAME.dockerignore` beside a Dockerfile of
 * that name) leaves out.
 * @throws PlyboxError `build/invalid` where there is no Dockerfile, `input/invalid` for a directory that cannot be read,
 *   `file/bad-archive`, `layer/too-large`, `aborted`
 */
export async function openContext(
  input: BuildInput,
  { path, own }: ContextPlaces,
  work: SpoolWork,
): Promise<BuildContext> {
  if ("archive" in input) return await contextOf(await spoolTree(input.archive, path, work), input.dockerfile);
  const { directory, text } = input;
  const ignore = directory === null ? "*" : await readIgnoreFile(directory, input.path);
  const tree = await spoolTree(directory === null ? noFiles() : archiveDirectory(directory, ignore, own), path, work);
  return await contextOf(tree, { text, ignore });
}

/** An archive of nothing. */
async function* noFiles(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(2 * BLOCK);
}

/** @param source the Dockerfile with what is left out, or where in the tree it is */
async function contextOf(tree: FileTree, source: string | Source): Promise<BuildContext> {
  try {
    const { text, ignore } = typeof source === "string" ? await readSource(tree, source) : source;
    leaveOut(tree.root, ignoredPaths(ignore));
    giveToRoot(tree.root);
    return { dockerfile: text, tree };
  } catch (error) {
    await tree[Symbol.asyncDispose]();
    throw error;
  }
}

interface Source {
  readonly text: string;
  readonly ignore: string;
}

async function readSource(tree: FileTree, path: string): Promise<Source> {
  const text = await textAt(tree, path);
  if (text === undefined) throw missing(path);
  const ignore = (await textAt(tree, `${path}${IGNORE_FILE}`)) ?? (await textAt(tree, IGNORE_FILE)) ?? "";
  return { text, ignore };
}

async function textAt(tree: FileTree, path: string): Promise<string | undefined> {
  let node: Node | undefined = tree.root;
  for (const part of path.split("/").filter((each) => each !== "" && each !== "."))
    node = node?.children.get(toBytes(part));
  if (node?.type !== "file") return undefined;
  if (node.size > MOST_DOCKERFILE_BYTES) {
    throw new PlyboxError(
      "build/invalid",
      `${JSON.stringify(path)} has ${node.size} bytes, and ${MOST_DOCKERFILE_BYTES} are allowed`,
    );
  }
  return (await readNode(tree, node)).toString();
}

const missing = (path: string): PlyboxError =>
  new PlyboxError("build/invalid", `there is no ${JSON.stringify(path.slice(0, 200))} in the context`, {
    field: "dockerfile",
  });

/** A directory that is left out stays for what of it is not. */
function leaveOut(root: Node, ignored: IgnoredPaths, prefix = ""): void {
  for (const [name, node] of root.children) {
    const path = `${prefix}${toText(name)}`;
    if (node.type === "directory" && !ignored.hasAllBelow(path)) {
      leaveOut(node, ignored, `${path}/`);
      if (node.children.size > 0) continue;
    }
    if (ignored.has(path)) root.children.delete(name);
  }
}

/** Whoever has the files outside is nobody inside. */
function giveToRoot(root: Node): void {
  // A file with several names is met several times.
  const all = (node: Node): void => {
    Object.assign(node, { uid: 0, gid: 0 });
    for (const child of node.children.values()) all(child);
  };
  all(root);
  Object.assign(root, { mode: 0o755, isImplied: false });
}
