import { mkdir } from "node:fs/promises";
import type { UpperMount } from "../../model/launch-plan.ts";
import type { UpperSpec } from "../../model/sandbox.ts";
import { isImage } from "../../model/sandbox.ts";
import { formatImage } from "./format-image.ts";

/**
 * Makes what an upper on disk needs before a launcher can mount it.
 * @throws PlyboxError as `formatImage`
 */
export async function makeDisk(upper: UpperSpec, mount: Exclude<UpperMount, { kind: "tmpfs" }>): Promise<void> {
  if (mount.kind === "disk") await mkdir(mount.path, { mode: 0o700 });
  else if (isImage(upper)) await formatImage({ image: mount.image, ...upper });
}
