import { posix } from "node:path";
import type { Node } from "../../layers/tar/layer-tree.ts";
import { directory } from "../../layers/tar/layer-tree.ts";
import { invalid, quoted } from "../dockerfile/refuse.ts";
import { toText } from "../file-tree.ts";
import type { Found } from "./find-sources.ts";

/** What a place needs to know of the file system that is copied to; paths are one character a byte. */
export interface Destination {
  /** With links followed; undefined where there is nothing. */
  status(path: string): Promise<{ readonly type: string; readonly path: string } | undefined>;
}

export interface Target {
  /** Absolute. */
  readonly path: string;
  /** Whether it can only be a directory. */
  readonly isDirectory: boolean;
  readonly line: number;
}

/**
 * Where something that is copied goes, as a tree from the root on: directories that are there are entered, through links
 * too, and stay as they are; a directory brings its content, a file its name where the target is a directory.
 * @throws PlyboxError `build/invalid`
 */
export async function place({ name, node }: Found, target: Target, destination: Destination): Promise<Node> {
  const root = directory();
  const { path, isDirectory, line } = target;
  const there = await destination.status(path);
  const isThere = there?.type === "directory";
  if (!isThere && there !== undefined && (isDirectory || node.type === "directory")) {
    throw invalid(line, `${quoted(toText(path))} is a file, and no directory`);
  }
  if (node.type === "directory") {
    if (isThere) await merge(root, node, there.path, { destination, line });
    else insert(root, await resolved(path, destination), node);
  } else {
    const at = isDirectory || isThere ? posix.join(path, name) : path;
    insert(root, await resolved(at, destination), node);
  }
  return root;
}

interface Around {
  readonly destination: Destination;
  readonly line: number;
}

/** @param at an existing directory, with no link on the way */
async function merge(root: Node, node: Node, at: string, around: Around): Promise<void> {
  for (const [name, child] of node.children) {
    const path = posix.join(at, name);
    const there = child.type === "directory" ? await around.destination.status(path) : undefined;
    if (there === undefined) insert(root, path, child);
    else if (there.type === "directory") await merge(root, child, there.path, around);
    else throw invalid(around.line, `${quoted(toText(path))} is a file, and a directory is copied there`);
  }
}

/** A path with the links of its directories followed; what it names may be there or not. */
async function resolved(path: string, destination: Destination): Promise<string> {
  if (path === "/") return path;
  const above = posix.dirname(path);
  const there = await destination.status(above);
  return posix.join(there?.path ?? (await resolved(above, destination)), posix.basename(path));
}

function insert(root: Node, path: string, node: Node): void {
  const parts = path.split("/").filter((part) => part !== "");
  const name = parts.pop();
  let parent = root;
  for (const part of parts) {
    const next = parent.children.get(part) ?? directory();
    parent.children.set(part, next);
    parent = next;
  }
  if (name === undefined) for (const [each, child] of node.children) root.children.set(each, child);
  else parent.children.set(name, node);
}
