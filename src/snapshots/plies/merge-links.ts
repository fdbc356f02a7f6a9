import type { Node } from "./stack.ts";
import type { Tree } from "./tree.ts";

interface Group {
  /** Where ours has, or will have, the file. */
  readonly path: string;
  /** Whether the merge puts it there. */
  readonly isTaken: boolean;
}

/** Which names of theirs are one file, so that they become one file in ours. */
export class MergeLinks {
  readonly #groups = new Map<Tree, Map<string, Group>>();

  /** Theirs is taken at this path: the path that it is a link to, if there is one. */
  take(node: Node): string | undefined {
    return this.#meet(node, true)?.path;
  }

  /** Ours stays at this path, being the same: the path that it becomes a link to, if its file was taken there. */
  keep(node: Node): string | undefined {
    const group = this.#meet(node, false);
    return group?.isTaken ? group.path : undefined;
  }

  #meet({ path, entry, tree }: Node, isTaken: boolean): Group | undefined {
    if (entry.kind === "directory" || entry.links < 2) return undefined;
    const groups = this.#groups.get(tree) ?? new Map<string, Group>();
    this.#groups.set(tree, groups);
    const known = groups.get(entry.inode);
    if (known === undefined) groups.set(entry.inode, { path, isTaken });
    return known;
  }
}
