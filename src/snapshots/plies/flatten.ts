import { PlyboxError } from "../../model/errors.ts";
import { LinkGroups } from "./link-groups.ts";
import type { Node } from "./stack.ts";
import { Stack, walk } from "./stack.ts";
import type { Tree } from "./tree.ts";
import type { Marks } from "./tree-program.ts";
import { TreeProgram } from "./tree-program.ts";

/** So many changes are asked for before the first of them is waited for. */
const AHEAD = 64;

export interface FlattenOptions {
  /** Absolute paths, the lowest first. */
  readonly plies: readonly string[];
  /** Absolute path of an empty directory, which becomes the one ply. */
  readonly target: string;
  /** Whether nothing is below the plies, so that nothing is left for whiteouts and opaque marks to hide. */
  readonly isLowest: boolean;
  readonly marks?: Marks;
  readonly signal?: AbortSignal;
}

/**
 * Makes one ply that shows what several show, on whatever is below: names that are hidden stay hidden, directories are
 * opaque where one of their parts was or where there was something else, names of one file stay names of one file.
 * @throws PlyboxError `aborted`, `file/no-space`, and as `TreeRequests.ask`; the target is then half made
 */
export async function flattenPlies({ plies, target, isLowest, marks, signal }: FlattenOptions): Promise<void> {
  await using program = new TreeProgram(marks);
  const [stack, into] = [await Stack.open(program, plies), await program.open(target)];
  const groups = new LinkGroups();
  const asked: Promise<unknown>[] = [];
  // Directories that hide what is below the plies, the innermost last.
  const closed: boolean[] = [isLowest];
  for await (const { node, isLeaving } of walk(stack)) {
    if (signal?.aborted) throw new PlyboxError("aborted", "flattening was aborted", { cause: signal.reason });
    const isHidden = closed.at(-1) ?? false;
    if (node.entry.kind === "directory") isLeaving ? closed.pop() : closed.push(isHidden || node.isClosed);
    for (const change of changesOf(node, { isLeaving, isHidden, into, groups })) {
      // Waited for below; until then its failure is nobody's.
      change.catch(() => {});
      asked.push(change);
    }
    while (asked.length > AHEAD) await asked.shift();
  }
  await Promise.all(asked);
}

interface Place {
  readonly isLeaving: boolean;
  /** Whether the directory around it hides what is below the plies. */
  readonly isHidden: boolean;
  readonly into: Tree;
  readonly groups: LinkGroups;
}

function changesOf(node: Node, { isLeaving, isHidden, into, groups }: Place): Promise<void>[] {
  const { path, entry, tree } = node;
  // Last, because what is made in a directory changes its time.
  if (isLeaving) return [into.stamp(tree, path, path)];
  if (path === "") return [];
  if (entry.kind === "whiteout") return isHidden ? [] : [into.makeWhiteout(path)];
  const first = groups.meet(node);
  if (first !== undefined) return [into.link(first, path)];
  const made = into.copy(tree, path, path);
  return entry.kind === "directory" && node.isClosed && !isHidden ? [made, into.markOpaque(path, true)] : [made];
}
