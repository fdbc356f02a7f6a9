import { PlyboxError } from "../../model/errors.ts";
import type { UpperSpec } from "../../model/sandbox.ts";
import { BYTES_PER_DISK_INODE, hasSnapshots, isImage, LIMIT_BOUNDS } from "../../model/sandbox.ts";

/**
 * Refuses an upper that cannot be had.
 * @throws PlyboxError `input/invalid`, or `host/missing` where images cannot be mounted; both name the field
 */
export function requireUpper(upper: UpperSpec = { kind: "tmpfs" }, mountsImages: boolean): void {
  const { kind, bytes, inodes } = upper;
  if (hasSnapshots(upper)) {
    if (bytes !== undefined) requireWithin("upper.bytes", bytes, LIMIT_BOUNDS.diskBytes);
    if (inodes === undefined) return;
    throw new PlyboxError("input/invalid", "an upper with snapshots counts bytes alone", { field: "upper.inodes" });
  }
  if (kind === "disk" && bytes === undefined && inodes !== undefined) {
    throw new PlyboxError("input/invalid", "an upper on disk counts inodes only where it has a size", {
      field: "upper.inodes",
    });
  }
  if (!isImage(upper)) return;
  requireWithin("upper.bytes", upper.bytes, LIMIT_BOUNDS.diskBytes);
  const most = Math.floor(upper.bytes / BYTES_PER_DISK_INODE);
  if (inodes !== undefined) requireWithin("upper.inodes", inodes, { min: LIMIT_BOUNDS.diskInodes.min, max: most });
  if (mountsImages) return;
  const message = "an upper on disk has no size without root, since mounting an image takes the machine's";
  throw new PlyboxError("host/missing", message, { field: "upper.bytes" });
}

function requireWithin(field: string, value: number, { min, max }: { readonly min: number; readonly max: number }) {
  if (value >= min && value <= max) return;
  throw new PlyboxError("input/invalid", `must be ${min} to ${max}, not ${value}`, { field });
}
