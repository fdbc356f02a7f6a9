import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PlyboxError } from "../model/errors.ts";
import type { LayerManifest } from "../model/layer.ts";
import type { Catalog } from "./catalog.ts";
import type { ImageBounds } from "./image-bounds.ts";
import { tooLarge } from "./image-bounds.ts";
import { PROGRAM_ENVIRONMENT, requireProgram } from "./programs.ts";
import { corrupt } from "./stored-layers.ts";

/**
 * The tree of a layer's image, unpacked beside it when it is first asked for, and gone with the layer.
 * @throws PlyboxError `layer/corrupt`, `layer/too-large`, `layer/build-failed`, `host/missing` without unsquashfs
 */
export async function unpackedImage(catalog: Catalog, layer: LayerManifest): Promise<string> {
  const tree = join(catalog.layers.directory(layer.digest), "unpacked");
  if (existsSync(tree)) return tree;
  if (layer.format === "erofs") {
    throw new PlyboxError(
      "host/missing",
      `layer ${layer.name} is an erofs image, which only root can use; build it as squashfs`,
    );
  }
  const image = await catalog.layers.soundPath(layer);
  await requireRoom(catalog.layers.bounds, layer, image);
  const staging = await catalog.stage();
  try {
    await unsquash(image, join(staging, "tree"), { attributes: "user" });
    // Of two processes that unpack one image, the second finds it done.
    await rename(join(staging, "tree"), tree).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return tree;
}

/** Adds up what the image lists before anything of it is on the disk. */
async function requireRoom(bounds: ImageBounds, { name }: LayerManifest, image: string): Promise<void> {
  const program = await requireProgram("unsquashfs", "squashfs-tools");
  const child = spawn(program, ["-lln", image], { stdio: ["ignore", "pipe", "ignore"], env: PROGRAM_ENVIRONMENT });
  const closed = once(child, "close") as Promise<[code: number | null]>;
  let entries = 0;
  let bytes = 0;
  try {
    // A name with a newline in it can only add to the sum.
    for await (const line of createInterface({ input: child.stdout })) {
      entries += 1;
      bytes += Number(/^-\S+ +\d+\/\d+ +(\d+) /.exec(line)?.[1] ?? 0);
      if (entries > bounds.inodes) throw tooLarge(name, `it lists more than ${bounds.inodes} entries`);
      if (bytes > bounds.unpackedBytes) {
        throw tooLarge(name, `unpacked it has more than the ${bounds.unpackedBytes} bytes that are allowed`);
      }
    }
  } finally {
    child.kill("SIGKILL");
    await closed;
  }
  const [code] = await closed;
  if (code !== 0 && child.signalCode === null) throw corrupt(name, "unsquashfs cannot read its image");
}

export interface UnsquashOptions {
  /** Whether what cannot be had without privileges, owners that are not mapped and devices, is an error. */
  readonly strict?: boolean;
  /** Which extended attributes are kept: those of others than users nobody may write without privileges. */
  readonly attributes?: "all" | "user";
}

/** Unpacks an image to a directory that is not there yet. */
export async function unsquash(
  image: string,
  target: string,
  { strict = false, attributes = "all" }: UnsquashOptions = {},
): Promise<void> {
  const program = await requireProgram("unsquashfs", "squashfs-tools");
  // A full disk is an error even so.
  const options = ["-no-progress", "-quiet", ...(strict ? [] : ["-no-exit-code"])];
  if (attributes === "user") options.push("-user-xattrs");
  const child = spawn(program, [...options, "-dest", target, image], {
    stdio: ["ignore", "ignore", "pipe"],
    env: PROGRAM_ENVIRONMENT,
  });
  const complaint = child.stderr.toArray();
  const [code] = (await once(child, "close")) as [number | null];
  if (code === 0) return;
  const text = Buffer.concat((await complaint) as Buffer[])
    .toString()
    .trim();
  throw new PlyboxError("layer/build-failed", `unsquashfs failed: ${text.slice(-4096)}`, { step: "unsquashfs" });
}
