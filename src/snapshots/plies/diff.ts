import { PlyboxError } from "../../model/errors.ts";
import type { Aspect } from "./same-node.ts";
import { differences } from "./same-node.ts";
import type { Node, Side } from "./stack.ts";
import { isSameBelow, Stack, zipChildren } from "./stack.ts";
import type { Marks } from "./tree-program.ts";
import { TreeProgram } from "./tree-program.ts";

/** One path at which two stacks of plies differ. */
export type Change =
  | { readonly kind: "added"; readonly path: string; readonly before?: undefined; readonly after: Node }
  | { readonly kind: "removed"; readonly path: string; readonly before: Node; readonly after?: undefined }
  | { readonly kind: "type-changed"; readonly path: string; readonly before: Node; readonly after: Node }
  | {
      readonly kind: "changed";
      readonly path: string;
      readonly before: Node;
      readonly after: Node;
      /** In what, at least one. */
      readonly aspects: readonly Aspect[];
    };

export interface DiffOptions {
  /** Whether what differs in its time alone has changed. */
  readonly withTimes?: boolean;
  readonly signal?: AbortSignal;
}

export interface PlyDiffOptions extends DiffOptions {
  /** Absolute paths of plies, the lowest first; those that both have are not read. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly marks?: Marks;
}

/**
 * What differs between two stacks of plies, in the order of the paths; a directory before what is in it. A rename is a
 * name that has gone and one that has come.
 * @throws PlyboxError `aborted`, and as `TreeRequests.ask`
 */
export async function* diffPlies({ before, after, marks, ...options }: PlyDiffOptions): AsyncGenerator<Change> {
  await using program = new TreeProgram(marks);
  const [one, other] = await Promise.all([Stack.open(program, before), Stack.open(program, after)]);
  yield* diffStacks(one, other, options);
}

/** The same of stacks of one program. */
async function* diffStacks(before: Stack, after: Stack, options: DiffOptions = {}): AsyncGenerator<Change> {
  yield* diffNodes(before, after, [await before.root(), await after.root()], options);
}

type Pair = readonly [before: Node | undefined, after: Node | undefined];

/** The same of what is at one path, and below. */
export async function* diffNodes(
  before: Stack,
  after: Stack,
  pair: Pair,
  { withTimes, signal }: DiffOptions = {},
): AsyncGenerator<Change> {
  const below = ([one, other]: Pair) => zipChildren([sideOf(before, one), sideOf(after, other)]);
  const first = await compare(pair, withTimes);
  if (first !== undefined) yield first;
  if (!needsLook(pair)) return;
  const open = [below(pair)];
  try {
    for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
      if (signal?.aborted) throw new PlyboxError("aborted", "the diff was aborted", { cause: signal.reason });
      const { value } = await last.next();
      if (value === undefined) {
        open.pop();
        continue;
      }
      const found: Pair = [value[0], value[1]];
      const change = await compare(found, withTimes);
      if (change !== undefined) yield change;
      if (needsLook(found)) open.push(below(found));
    }
  } finally {
    for (const children of open) await children.return(undefined);
  }
}

/** A node as the side of a stack, if it is a directory. */
export const sideOf = (stack: Stack, node: Node | undefined): Side =>
  node?.entry.kind === "directory" ? { stack, directory: node } : undefined;

function needsLook([a, b]: Pair): boolean {
  const isDirectory = a?.entry.kind === "directory" || b?.entry.kind === "directory";
  return isDirectory && !(a !== undefined && b !== undefined && isSameBelow(a, b));
}

async function compare([before, after]: Pair, withTimes?: boolean): Promise<Change | undefined> {
  if (before === undefined) return after && { kind: "added", path: after.path, after };
  const { path } = before;
  if (after === undefined) return { kind: "removed", path, before };
  if (before.entry.kind !== after.entry.kind) return { kind: "type-changed", path, before, after };
  const aspects = await differences(before, after, withTimes);
  return aspects.length === 0 ? undefined : { kind: "changed", path, before, after, aspects };
}
