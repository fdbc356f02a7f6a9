import type { IdSource } from "../sandbox/id-ranges.ts";
import { IdRanges } from "../sandbox/id-ranges.ts";
import { SharedIds } from "../sandbox/shared-ids.ts";
import type { Realm } from "./rootless/realm.ts";

/**
 * Host ids of sandboxes: 4,096 ranges of 65,536, above what distributions give to people and to containers. The daemon
 * and one-shot runs take theirs from different parts, since neither knows of the other's.
 */
const FIRST = 0x7000_0000;
const RANGE = 65_536;

export const DAEMON_IDS = { first: FIRST, count: 3072 } as const;
export const ONE_SHOT_IDS = { first: FIRST + DAEMON_IDS.count * RANGE, count: 1024 } as const;

/** Of the machine's ids some ranges, each a sandbox's own; in a namespace those that there are, for all. */
export function idsOf(realm: Realm, { first, count }: { readonly first: number; readonly count: number }): IdSource {
  return realm.kind === "machine" ? new IdRanges(first, count) : new SharedIds(realm.ids);
}
