import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseSuperblock, readSuperblock } from "./superblock.ts";

let root: string;
let image: Buffer;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "plybox-superblock-"));
  mkdirSync(join(root, "tree/directory"), { recursive: true });
  writeFileSync(join(root, "tree/directory/file"), "content");
  execFileSync("mksquashfs", [join(root, "tree"), join(root, "image"), "-comp", "zstd", "-no-progress", "-quiet"]);
  image = readFileSync(join(root, "image"));
});
afterAll(() => rmSync(root, { recursive: true }));

/** What is said of the image after `change`. */
function judged(change: (superblock: Buffer) => void): ReturnType<typeof parseSuperblock> {
  const superblock = Buffer.from(image.subarray(0, 96));
  change(superblock);
  return parseSuperblock(superblock, BigInt(image.length));
}

describe("a superblock", () => {
  it("of an image that mksquashfs made is believed", async () => {
    expect(await readSuperblock(join(root, "image"), "squashfs")).toMatchObject({ inodes: 3 });
  });

  it.each<[string, (superblock: Buffer) => void, string]>([
    ["another file system", (it) => it.writeUInt32LE(0x53ef, 0), "no squashfs"],
    ["another version", (it) => it.writeUInt16LE(3, 28), "version 3.0"],
    ["an unknown compression", (it) => it.writeUInt16LE(7, 20), "unknown compression 7"],
    ["the compression that no kernel has", (it) => it.writeUInt16LE(2, 20), "unknown compression 2"],
    ["blocks of 2 GiB", (it) => it.writeUInt32LE(2 ** 31, 12), "blocks of 2147483648 bytes"],
    ["blocks of no bytes", (it) => it.writeUInt32LE(0, 12), "blocks of 0 bytes"],
    ["a block size that is not its logarithm's", (it) => it.writeUInt16LE(12, 22), "blocks of 131072 bytes"],
    ["16 EiB", (it) => it.writeBigUInt64LE(2n ** 64n - 1n, 40), "claims 18446744073709551615 bytes"],
    ["a byte more than there is", (it) => it.writeBigUInt64LE(BigInt(image.length) + 1n, 40), "claims"],
    ["an inode table outside", (it) => it.writeBigUInt64LE(2n ** 40n, 64), "inode table of its image lies outside"],
    ["no id table", (it) => it.writeBigUInt64LE(2n ** 64n - 1n, 48), "id table of its image lies outside"],
    ["a table in the superblock", (it) => it.writeBigUInt64LE(8n, 72), "directory table of its image lies outside"],
    ["tables out of order", (it) => it.writeBigUInt64LE(it.readBigUInt64LE(72), 64), "out of order"],
    ["no inodes", (it) => it.writeUInt32LE(0, 4), "no inodes"],
    ["four thousand million inodes", (it) => it.writeUInt32LE(2 ** 32 - 1, 4), "claims 4294967295 inodes"],
  ])("that claims %s is not", (_what, change, problem) => {
    expect(judged(change)).toContain(problem);
  });

  it("of an image that is cut off is not believed", async () => {
    const cut = join(root, "cut");
    writeFileSync(cut, image);
    truncateSync(cut, 200);
    expect(await readSuperblock(cut, "squashfs")).toContain("claims");
    truncateSync(cut, 95);
    expect(await readSuperblock(cut, "squashfs")).toBe("its image is too short for squashfs");
  });

  it("is judged whatever it holds, and never believed beyond its file", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 92, maxLength: 92 }), fc.boolean(), (bytes, isOverImage) => {
        const superblock = Buffer.concat([image.subarray(0, 4), bytes]);
        if (isOverImage) image.copy(superblock, 12, 12, 32);
        const found = parseSuperblock(superblock, BigInt(image.length));
        if (typeof found !== "string") expect(found.usedBytes).toBeLessThanOrEqual(BigInt(image.length));
      }),
    );
  });
});
