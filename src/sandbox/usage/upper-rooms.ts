import { statSync } from "node:fs";
import { dirname } from "node:path";
import { roomOf } from "../../base/room-of.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import { isImage } from "../../model/sandbox.ts";
import type { SnapshotPools } from "../../snapshots/pools/snapshot-pools.ts";
import type { SandboxPlaces } from "../launch-plan.ts";
import { DEFAULT_UPPER_BYTES, diskPath, mediumOf, upperPath } from "../launch-plan.ts";
import type { DiskUppers, UpperFigure } from "./disk-uppers.ts";

export interface UpperRoomsOptions {
  readonly places: SandboxPlaces;
  readonly disks: Pick<DiskUppers, "figure">;
  /** Absent where no upper is copied on write. */
  readonly pools: SnapshotPools | undefined;
}

/** What the writable layers of sandboxes hold, also of those that do not run. */
export class UpperRooms {
  readonly #options: UpperRoomsOptions;

  constructor(options: UpperRoomsOptions) {
    this.#options = options;
  }

  /** Of one that is a directory: a pool counts, what is on disk is measured now and then. */
  figure(sandbox: Sandbox): UpperFigure | undefined {
    if (sandbox.lineage === null) return this.#options.disks.figure(sandbox);
    return { bytes: this.#written(sandbox), measuredAt: new Date() };
  }

  /** Bytes, of one with snapshots with what its checkpoints hold on to; null where nobody knows. */
  usedBytes(sandbox: Sandbox): number | null {
    if (sandbox.lineage !== null) return this.#written(sandbox);
    const { places } = this.#options;
    const own = sandbox.upper.kind === "tmpfs" || isImage(sandbox.upper);
    if (!own) return this.figure(sandbox)?.bytes ?? null;
    const image = diskPath(sandbox, places);
    return mountedRoom(upperPath(sandbox, places))?.usedBytes ?? (image === undefined ? null : diskBytes(image));
  }

  /** What it may hold; null where only the medium bounds it. */
  limitBytes({ upper, lineage }: Sandbox): number | null {
    return upper.bytes ?? (upper.kind === "tmpfs" && lineage === null ? DEFAULT_UPPER_BYTES : null);
  }

  /** How full it is; undefined where only the medium bounds it, or nobody knows. */
  room(sandbox: Sandbox): { readonly usedBytes: number; readonly totalBytes: number } | undefined {
    const totalBytes = this.limitBytes(sandbox);
    if (totalBytes === null) return undefined;
    // A file system of its own holds less than its size.
    if (sandbox.lineage === null) return mountedRoom(upperPath(sandbox, this.#options.places));
    const usedBytes = this.#written(sandbox);
    return usedBytes === null ? undefined : { usedBytes, totalBytes };
  }

  #written({ id, upper }: Sandbox): number | null {
    return this.#options.pools?.[mediumOf(upper)].written(id) ?? null;
  }
}

/** Of a file system of an upper's own; undefined where none is mounted. */
function mountedRoom(path: string): { readonly usedBytes: number; readonly totalBytes: number } | undefined {
  try {
    return statSync(path).dev === statSync(dirname(path)).dev ? undefined : roomOf(path);
  } catch {
    return undefined;
  }
}

/** Of a file with holes. */
function diskBytes(path: string): number | null {
  try {
    return statSync(path).blocks * 512;
  } catch {
    return null;
  }
}
