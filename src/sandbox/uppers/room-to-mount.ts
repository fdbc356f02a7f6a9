import type { Sandbox } from "../../model/sandbox.ts";
import { hasSnapshots } from "../../model/sandbox.ts";
import type { Snapshots } from "../checkpoints/snapshots.ts";
import { mediumOf } from "../launch-plan.ts";

/** For a directory: what btrfs sets aside for the blocks of its trees. */
const ROOM = 4 * 1024 ** 2;

/**
 * Starts a sandbox that may have written all that it may. Overlayfs makes a directory when it is mounted; where it cannot,
 * nothing could be written inside, and nothing removed to make room.
 */
export async function withRoomToMount<T>(
  snapshots: Snapshots | undefined,
  { id, upper }: Sandbox,
  start: () => Promise<T>,
): Promise<T> {
  const { bytes } = upper;
  if (snapshots === undefined || !hasSnapshots(upper) || bytes === undefined) return await start();
  const pool = snapshots.pools[mediumOf(upper)];
  await pool.limit(id, bytes + ROOM);
  try {
    return await start();
  } finally {
    await pool.limit(id, bytes);
  }
}
