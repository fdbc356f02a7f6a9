import { PlyboxError } from "../../model/errors.ts";
import { diffNodes, sideOf } from "./diff.ts";
import type { Entry } from "./entry.ts";
import { MergeLinks } from "./merge-links.ts";
import { differences } from "./same-node.ts";
import { pathSelector } from "./select-paths.ts";
import type { Node, Side, Stack } from "./stack.ts";
import { isSameBelow, zipChildren } from "./stack.ts";

/** Why the changes of both sides to one path cannot both stay. */
export type ConflictReason =
  /** The same path was added differently. */
  | "both-added"
  | "both-changed"
  /** It is of two types now. */
  | "both-replaced"
  | "ours-removed"
  | "theirs-removed";

/** What one side did at a path, or below; what it replaced is of another type now. */
export type SideChange = "added" | "changed" | "removed" | "replaced";

export interface MergeConflict {
  readonly kind: "conflict";
  /** The topmost path of what cannot both stay. */
  readonly path: string;
  readonly reason: ConflictReason;
  readonly ours: SideChange;
  readonly theirs: SideChange;
}

/**
 * One step that makes ours what the merge is, in a tree that shows what ours does. All steps in their order may be taken again
 * after some of them have been.
 */
export type MergeStep =
  /** With all that is below. */
  | { readonly kind: "remove"; readonly path: string }
  /** What theirs has there, without what is in it, in the place of whatever is there. */
  | { readonly kind: "copy"; readonly path: string; readonly ply: number }
  /** Another name of what is at `to`, in the place of whatever is there. */
  | { readonly kind: "link"; readonly path: string; readonly to: string }
  /** Owner, mode, attributes and time of a directory of theirs, after all that is in it. `ply`: which of theirs, from 0. */
  | { readonly kind: "stamp"; readonly path: string; readonly ply: number };

export interface MergeOptions {
  /** Paths that are merged, as `pathSelector` takes them; all without. */
  readonly select?: readonly string[];
  /** Whose side is taken where both changed the same; `refuse` leaves ours and tells the conflict all the same. */
  readonly prefer: "refuse" | "ours" | "theirs";
  readonly signal?: AbortSignal;
}

export interface MergeSides {
  readonly base: Stack;
  readonly ours: Stack;
  readonly theirs: Stack;
}

type Three = readonly [base: Node | undefined, ours: Node | undefined, theirs: Node | undefined];
type Told = AsyncGenerator<MergeStep | MergeConflict>;

/** What theirs has changed since the base, as steps on ours, and what of it meets other changes there. */
export async function* planMerge(sides: MergeSides, options: MergeOptions): Told {
  yield* new Planner(sides, options).plan();
}

class Planner {
  readonly #sides: MergeSides;
  readonly #options: MergeOptions;
  readonly #isSelected: (path: string) => boolean;
  readonly #links = new MergeLinks();

  constructor(sides: MergeSides, options: MergeOptions) {
    this.#sides = sides;
    this.#options = options;
    this.#isSelected = pathSelector(options.select);
  }

  async *plan(): Told {
    const { base, ours, theirs } = this.#sides;
    yield* this.#at(await Promise.all([base.root(), ours.root(), theirs.root()]));
  }

  /** What happens at one path and below. */
  async *#at(nodes: Three): Told {
    const { signal } = this.#options;
    if (signal?.aborted) throw new PlyboxError("aborted", "the merge was aborted", { cause: signal.reason });
    const [base, ours, theirs] = nodes;
    const path = (theirs ?? ours ?? base)?.path ?? "";
    if (!this.#isSelected(path)) return yield* this.#below(nodes);
    if (isDirectory(base) && isDirectory(theirs) && isSameBelow(base, theirs) && base.tree === theirs.tree) return;
    const isTheirs = !(await isSame(base, theirs));
    if (isDirectory(theirs) && isDirectory(ours)) return yield* this.#directories(nodes, isTheirs);
    if (!isTheirs && !(await this.#isChangedBelow(base, theirs, this.#sides.theirs)))
      return yield* this.#unchanged(nodes);
    if (await this.#isEqual(ours, theirs)) return yield* this.#unchanged(nodes);
    // Only now: to compare what theirs has not changed would be most of the work.
    if ((await isSame(base, ours)) && !(await this.#isChangedBelow(base, ours, this.#sides.ours)))
      return yield* this.#take(path, ours, theirs);
    yield conflictOf(nodes, path);
    if (this.#options.prefer === "theirs") yield* this.#take(path, ours, theirs);
  }

  /** Both have a directory: each of them changed its own metadata, or neither; what is in it is looked at by itself. */
  async *#directories(nodes: Three, isTheirs: boolean): Told {
    const [base, ours, theirs] = nodes as readonly [Node | undefined, Node, Node];
    const isEqual = !isTheirs || (await differences(ours, theirs)).length === 0;
    const isConflict = !isEqual && !(await isSame(base, ours));
    if (isConflict) yield conflictOf(nodes, theirs.path);
    yield* this.#below(nodes);
    const isTaken = !isEqual && (!isConflict || this.#options.prefer === "theirs");
    if (isTaken) yield this.#step("stamp", theirs);
  }

  async *#below(nodes: Three): Told {
    const [base, ours, theirs] = nodes;
    if (isDirectory(base) && isDirectory(theirs) && isSameBelow(base, theirs)) return;
    const { base: one, ours: two, theirs: three } = this.#sides;
    const sides = [sideOf(one, base), sideOf(two, ours), sideOf(three, theirs)];
    if (sides.every((side) => side === undefined)) return;
    const told = this.#children(sides);
    if (isDirectory(theirs) && ours === undefined) yield* this.#withDirectory(theirs, told);
    else if (isDirectory(theirs) && !isDirectory(ours)) yield* withoutDirectory(nodes, told);
    else yield* told;
  }

  async *#children(sides: readonly Side[]): Told {
    for await (const [base, ours, theirs] of zipChildren(sides)) yield* this.#at([base, ours, theirs]);
  }

  /** Ours stays; but names of one file of theirs, of which another was taken, are that file here too. */
  async *#unchanged([, ours, theirs]: Three): Told {
    if (theirs === undefined || isDirectory(theirs) || theirs.entry.links < 2) return;
    if (!(await isSame(ours, theirs))) return;
    const taken = this.#links.keep(theirs);
    if (taken === undefined) return;
    yield { kind: "link", path: theirs.path, to: taken };
  }

  /** Makes ours what theirs is, with all below. */
  async *#take(path: string, ours: Node | undefined, theirs: Node | undefined): Told {
    if (theirs !== undefined) yield* this.#add(theirs);
    else if (ours !== undefined) yield { kind: "remove", path };
  }

  async *#add(node: Node): Told {
    const { path } = node;
    const to = this.#links.take(node);
    if (to !== undefined) return yield { kind: "link", path, to };
    yield this.#step("copy", node);
    if (!isDirectory(node)) return;
    for await (const [child] of zipChildren([sideOf(this.#sides.theirs, node)])) {
      if (child !== undefined) yield* this.#add(child);
    }
    yield this.#step("stamp", node);
  }

  /** What is selected in a directory that is not, and that ours has not, brings the directory along. */
  async *#withDirectory(directory: Node, told: Told): Told {
    let isMade = false;
    for await (const one of told) {
      if (!isMade && one.kind !== "conflict") {
        isMade = true;
        yield this.#step("copy", directory);
      }
      yield one;
    }
    if (isMade) yield this.#step("stamp", directory);
  }

  #step(kind: "copy" | "stamp", { path, tree }: Node): MergeStep {
    return { kind, path, ply: this.#sides.theirs.indexOf(tree) };
  }

  /** Whether there is something in a directory that the base had not like this. */
  async #isChangedBelow(base: Node | undefined, side: Node | undefined, stack: Stack): Promise<boolean> {
    if (!isDirectory(base) || !isDirectory(side)) return false;
    // What one side removes of what the other removes as a whole is no loss to it.
    for await (const { kind } of diffNodes(this.#sides.base, stack, [base, side])) if (kind !== "removed") return true;
    return false;
  }

  async #isEqual(ours: Node | undefined, theirs: Node | undefined): Promise<boolean> {
    return !(await isDifferent(this.#sides.ours, this.#sides.theirs, [ours, theirs]));
  }
}

/** What is selected in a directory that is not, where ours has something else, has no place. */
async function* withoutDirectory(nodes: Three, told: Told): Told {
  for await (const _ of told) return yield conflictOf(nodes, nodes[2]?.path ?? "");
}

interface Directory extends Node {
  readonly entry: Entry & { readonly kind: "directory" };
}

const isDirectory = (node: Node | undefined): node is Directory => node?.entry.kind === "directory";

/** Whether two nodes are the same by themselves, whatever is in them. */
async function isSame(a: Node | undefined, b: Node | undefined): Promise<boolean> {
  if (a === undefined || b === undefined) return a === b;
  return a.entry.kind === b.entry.kind && (await differences(a, b)).length === 0;
}

async function isDifferent(
  one: Stack,
  other: Stack,
  pair: readonly [Node | undefined, Node | undefined],
): Promise<boolean> {
  for await (const _ of diffNodes(one, other, pair)) return true;
  return false;
}

function conflictOf(nodes: Three, path: string): MergeConflict {
  const [base, ours, theirs] = nodes;
  const sides = { ours: changeOf(base, ours), theirs: changeOf(base, theirs) };
  return { kind: "conflict", path, reason: reasonOf(nodes), ...sides };
}

function changeOf(base: Node | undefined, side: Node | undefined): SideChange {
  if (side === undefined) return "removed";
  if (base === undefined) return "added";
  return base.entry.kind === side.entry.kind ? "changed" : "replaced";
}

function reasonOf([base, ours, theirs]: Three): ConflictReason {
  if (ours === undefined) return "ours-removed";
  if (theirs === undefined) return "theirs-removed";
  if (base === undefined) return "both-added";
  return ours.entry.kind === theirs.entry.kind ? "both-changed" : "both-replaced";
}
