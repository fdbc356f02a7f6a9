import { statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import type { Medium } from "../../model/checkpoint.ts";
import type { PoolLauncher } from "./snapshot-pool.ts";
import { SnapshotPool } from "./snapshot-pool.ts";

export interface PoolsOptions {
  /** What outlives a reboot. */
  readonly stateDir: string;
  readonly runDir: string;
  readonly launcher: PoolLauncher;
  /** What each may hold; null: half of the machine's memory, or all of the state directory's file system. */
  readonly bytes: Readonly<Record<Medium, number | null>>;
}

export type SnapshotPools = Readonly<Record<Medium, SnapshotPool>>;

/** Less is refused by mkfs.btrfs, or full before anything is written. */
const LEAST_BYTES = 256 * 1024 ** 2;

/** Where a runtime's pools are mounted. */
export const poolDirectories = (runDir: string): Readonly<Record<Medium, string>> => ({
  memory: join(runDir, "pools", "memory"),
  disk: join(runDir, "pools", "disk"),
});

/** The pools of one daemon: one in memory, and one on the disk of its state directory. */
export function snapshotPools({ stateDir, runDir, launcher, bytes }: PoolsOptions): SnapshotPools {
  const directories = poolDirectories(runDir);
  return {
    memory: new SnapshotPool({
      ...{ medium: "memory", directory: directories.memory, launcher },
      image: join(runDir, "pools", "memory-image", "pool.btrfs"),
      bytes: () => Math.max(LEAST_BYTES, bytes.memory ?? Math.floor(totalmem() / 2)),
    }),
    disk: new SnapshotPool({
      ...{ medium: "disk", directory: directories.disk, launcher },
      image: join(stateDir, "snapshots", "pool.btrfs"),
      bytes: () => Math.max(LEAST_BYTES, bytes.disk ?? sizeOf(stateDir)),
    }),
  };
}

function sizeOf(directory: string): number {
  const { bsize, blocks } = statfsSync(directory);
  return bsize * blocks;
}
