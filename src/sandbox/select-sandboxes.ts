import type { Sandbox, SandboxState } from "../model/sandbox.ts";

/** Which sandboxes are wanted; what is empty or absent excludes none. */
export interface SandboxQuery {
  /** `key` or `key=value`; all must be met. */
  readonly labels?: readonly string[];
  readonly states?: readonly SandboxState["kind"][];
  /** Names, or beginnings of names with `*`; one must be met. */
  readonly names?: readonly string[];
  /** How many at most. */
  readonly limit: number;
  /** The id behind which to go on. */
  readonly after?: string;
}

export interface SandboxPage {
  /** By age, oldest first. */
  readonly sandboxes: readonly Sandbox[];
  /** What `after` of the next page is; null where this is the last. */
  readonly next: string | null;
}

/** One page of those sandboxes that meet the query. Ids sort by age, so a page begins where the one before ended. */
export function selectSandboxes(all: readonly Sandbox[], query: SandboxQuery): SandboxPage {
  const { limit, after = "" } = query;
  const found = all.filter((sandbox) => sandbox.id > after && meets(sandbox, query));
  found.sort((a, b) => (a.id < b.id ? -1 : 1));
  const sandboxes = found.slice(0, limit);
  return { sandboxes, next: found.length > limit ? (sandboxes.at(-1)?.id ?? null) : null };
}

function meets({ labels, name, state }: Sandbox, query: SandboxQuery): boolean {
  const { states = [], names = [] } = query;
  if (state.kind === "destroyed") return false;
  if (states.length > 0 && !states.includes(state.kind)) return false;
  if (names.length > 0 && !names.some((wanted) => name !== null && isNamed(name, wanted))) return false;
  return (query.labels ?? []).every((wanted) => isLabelled(labels, wanted));
}

const isNamed = (name: string, wanted: string): boolean =>
  wanted.endsWith("*") ? name.startsWith(wanted.slice(0, -1)) : name === wanted;

function isLabelled(labels: Sandbox["labels"], wanted: string): boolean {
  const equals = wanted.indexOf("=");
  const key = equals === -1 ? wanted : wanted.slice(0, equals);
  if (!Object.hasOwn(labels, key)) return false;
  return equals === -1 || labels[key] === wanted.slice(equals + 1);
}
