import type { Entry } from "./entry.ts";
import { inDirectory } from "./entry.ts";
import type { Tree } from "./tree.ts";
import type { TreeProgram } from "./tree-program.ts";

/** What stands at a path of a stack of plies. */
export interface Node {
  readonly path: string;
  readonly entry: Entry;
  /** The ply that it is of. */
  readonly tree: Tree;
  /** Of a directory: the plies whose directories it is made of, the topmost first. */
  readonly parts: readonly Tree[];
  /** Whether it hides whatever is at its path below the stack. */
  readonly isClosed: boolean;
}

/**
 * Plies above each other, as overlayfs shows them. Two stacks of one program that have plies in common know it: where two
 * directories have the same parts, all below them is the same.
 */
export class Stack {
  readonly #trees: readonly Tree[];

  /** @param trees the topmost first, at least one */
  constructor(trees: readonly Tree[]) {
    this.#trees = trees;
  }

  /** @param paths absolute, the lowest first */
  static async open(program: TreeProgram, paths: readonly string[]): Promise<Stack> {
    return new Stack(await Promise.all(paths.toReversed().map((path) => program.open(path))));
  }

  /** Which of the plies it is, the lowest being 0. */
  indexOf(tree: Tree): number {
    return this.#trees.length - 1 - this.#trees.indexOf(tree);
  }

  async root(): Promise<Node> {
    const [tree] = this.#trees;
    if (tree === undefined) throw new Error("a stack has at least one ply");
    return { path: "", entry: await tree.entry(""), tree, parts: this.#trees, isClosed: false };
  }

  /** What is in a directory, by the bytes of the names; names that are hidden are there as whiteouts. */
  async *children(directory: Node): AsyncGenerator<Node> {
    const lists = directory.parts.map((tree) => ({ tree, entries: tree.list(directory.path) }));
    try {
      const heads = await Promise.all(
        lists.map(async ({ entries }) => (await entries.next()).value as Entry | undefined),
      );
      for (;;) {
        const name = least(heads);
        if (name === undefined) return;
        const found = lists.flatMap(({ tree }, i) => {
          const entry = heads[i];
          return entry?.name === name ? [{ tree, entry }] : [];
        });
        yield merge(directory, found);
        for (const [i, { entries }] of lists.entries()) {
          if (heads[i]?.name === name) heads[i] = (await entries.next()).value as Entry | undefined;
        }
      }
    } finally {
      for (const { entries } of lists) await entries.return(undefined);
    }
  }

  /** What is at `path`, which may be a whiteout; undefined where there is nothing. */
  async find(path: string): Promise<Node | undefined> {
    let node: Node | undefined = await this.root();
    for (const name of path === "" ? [] : path.split("/")) {
      if (node?.entry.kind !== "directory") return undefined;
      node = await this.#child(node, name);
    }
    return node;
  }

  async #child(directory: Node, name: string): Promise<Node | undefined> {
    const path = inDirectory(directory.path, name);
    const looked = await Promise.all(
      directory.parts.map(async (tree) => ({ tree, entry: await tree.entry(path).catch(absent) })),
    );
    const found = looked.flatMap(({ tree, entry }) => (entry === undefined ? [] : [{ tree, entry }]));
    return found.length === 0 ? undefined : merge(directory, found);
  }
}

function absent(error: unknown): undefined {
  if ((error as { code?: unknown }).code !== "file/not-found") throw error;
  return undefined;
}

function least(heads: readonly (Entry | undefined)[]): string | undefined {
  let name: string | undefined;
  for (const head of heads) if (head !== undefined && (name === undefined || head.name < name)) name = head.name;
  return name;
}

interface Found {
  readonly tree: Tree;
  readonly entry: Entry;
}

/** A directory goes on in the plies below until one of them is opaque, or has something else there. */
function merge(directory: Node, found: readonly Found[]): Node {
  const [{ tree, entry }] = found as readonly [Found];
  const path = inDirectory(directory.path, entry.name);
  if (entry.kind !== "directory") return { path, entry, tree, parts: [], isClosed: true };
  const parts: Tree[] = [];
  let isClosed = directory.isClosed;
  for (const below of found) {
    if (below.entry.kind === "directory") parts.push(below.tree);
    if (below.entry.kind === "directory" && !below.entry.opaque) continue;
    isClosed = true;
    break;
  }
  return { path, entry, tree, parts, isClosed };
}

export interface Step {
  readonly node: Node;
  /** Of a directory: whether all in it has been seen. */
  readonly isLeaving: boolean;
}

/**
 * All of a stack: what is in a directory between its two steps, names by their bytes. Whiteouts are among it.
 */
export async function* walk(stack: Stack): AsyncGenerator<Step> {
  const root = await stack.root();
  yield { node: root, isLeaving: false };
  const open = [{ directory: root, children: stack.children(root) }];
  try {
    for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
      const { value: node } = await last.children.next();
      if (node === undefined) {
        open.pop();
        yield { node: last.directory, isLeaving: true };
        continue;
      }
      yield { node, isLeaving: false };
      if (node.entry.kind === "directory") open.push({ directory: node, children: stack.children(node) });
    }
  } finally {
    for (const { children } of open) await children.return(undefined);
  }
}

/** Whether all below two directories is the same because it is of the same plies. */
export const isSameBelow = (a: Node, b: Node): boolean =>
  a.parts.length === b.parts.length && a.parts.every((tree, i) => tree === b.parts[i]);

/** One place of a directory, its node and stack; undefined where a side has no directory. */
export type Side = { readonly stack: Stack; readonly directory: Node } | undefined;

/** What is in the directories of several sides, name by name, by the bytes of the names. A whiteout counts as nothing. */
export async function* zipChildren(sides: readonly Side[]): AsyncGenerator<readonly (Node | undefined)[]> {
  const lists = sides.map((side) => (side === undefined ? undefined : side.stack.children(side.directory)));
  const advance = async (i: number) => (await lists[i]?.next())?.value as Node | undefined;
  try {
    const heads = await Promise.all(lists.map((_, i) => advance(i)));
    for (;;) {
      const name = least(heads.map((head) => head?.entry));
      if (name === undefined) return;
      const found = heads.map((head) => (head?.entry.name === name ? head : undefined));
      yield found.map((node) => (node?.entry.kind === "whiteout" ? undefined : node));
      for (const [i, node] of found.entries()) if (node !== undefined) heads[i] = await advance(i);
    }
  } finally {
    for (const list of lists) await list?.return(undefined);
  }
}
