import { readFileSync } from "node:fs";

/**
 * What this process is root of: the machine, or a user namespace, which maps `ids` user and group ids from 0 on. In a
 * namespace nothing can be id-mapped, no image mounted, and no device made.
 */
export type Realm = { readonly kind: "machine" } | { readonly kind: "namespace"; readonly ids: number };

/** More than any sandbox has. */
const MOST_IDS = 65_536;
const ALL_IDS = 4_294_967_295;

export function readRealm(proc = "/proc"): Realm {
  const [uids, gids] = ["uid_map", "gid_map"].map((file) => idsFromZero(readFileSync(`${proc}/self/${file}`, "utf8")));
  if (uids === undefined || gids === undefined || uids === ALL_IDS) return { kind: "machine" };
  return { kind: "namespace", ids: Math.min(uids, gids, MOST_IDS) };
}

/** How many ids a map such as `0 1000 1\n1 100000 65536` has from 0 on without a gap. */
export function idsFromZero(map: string): number {
  const extents = map
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .sort(([a = 0], [b = 0]) => a - b);
  let next = 0;
  for (const [inside, , count = 0] of extents) if (inside === next) next += count;
  return next;
}
