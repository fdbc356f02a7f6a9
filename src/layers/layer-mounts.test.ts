import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Digest } from "../model/ids.ts";
import { LayerMounts } from "./layer-mounts.ts";

const LAYER = "a".repeat(64) as Digest;

let root: string;
let directory: string;

beforeEach(async () => {
  root = await mkdtemp("/tmp/plybox-mounts-");
  directory = join(root, "mounts");
});

afterEach(() => rm(root, { recursive: true, force: true }));

describe("layer mounts", () => {
  it("takes the mount point away when mounting fails", async () => {
    const mountImage = async ({ target }: { target: string }) => {
      expect(existsSync(target)).toBe(true);
      throw new Error("no loop device");
    };
    const mounts = new LayerMounts(directory, { mountImage, unmount: async () => {} });
    await expect(mounts.mount(LAYER, "/image", "squashfs")).rejects.toThrow("no loop device");
    expect(readdirSync(directory)).toEqual([]);
  });

  it("keeps the mount point when unmounting fails", async () => {
    const unmount = () => Promise.reject(new Error("busy"));
    const mounts = new LayerMounts(directory, { mountImage: async () => {}, unmount });
    await mounts.mount(LAYER, "/image", "squashfs");
    await expect(mounts.unmount(LAYER)).rejects.toThrow("busy");
    expect(await mounts.leftovers()).toEqual([LAYER]);
  });

  it("makes nothing on the host for mounts in a namespace of the mounter's own", async () => {
    const mounts = new LayerMounts(directory, { private: true, mountImage: async () => {}, unmount: async () => {} });
    expect(await mounts.mount(LAYER, "/image", "squashfs")).toBe(join(directory, LAYER));
    expect(existsSync(directory)).toBe(false);
    mkdirSync(join(directory, LAYER), { recursive: true });
    await mounts.unmount(LAYER);
    expect(await mounts.leftovers()).toEqual([]);
    expect(existsSync(join(directory, LAYER))).toBe(true);
  });
});
