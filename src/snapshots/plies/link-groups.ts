import type { Node } from "./stack.ts";
import type { Tree } from "./tree.ts";

interface Group {
  readonly first: string;
  /** Names that have not been met. */
  left: number;
}

/** Which names are one file. Keeps only files of which names are still to come. */
export class LinkGroups {
  readonly #groups = new Map<Tree, Map<string, Group>>();

  /** The first name that was met of the file, or undefined when this is the first. */
  meet({ path, entry, tree }: Pick<Node, "path" | "entry" | "tree">): string | undefined {
    if (entry.kind === "directory" || entry.links < 2) return undefined;
    const groups = this.#groups.get(tree) ?? new Map<string, Group>();
    this.#groups.set(tree, groups);
    const group = groups.get(entry.inode);
    if (group === undefined) {
      groups.set(entry.inode, { first: path, left: entry.links - 1 });
      return undefined;
    }
    group.left--;
    if (group.left === 0) groups.delete(entry.inode);
    return group.first;
  }
}
