import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EROFS_OFFSET, EROFS_SUPERBLOCK_BYTES, parseErofsSuperblock } from "./erofs-superblock.ts";
import { readSuperblock } from "./superblock.ts";

let root: string;
let image: Buffer;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "plybox-erofs-"));
  mkdirSync(join(root, "tree/directory"), { recursive: true });
  writeFileSync(join(root, "tree/directory/file"), "content");
  execFileSync("mkfs.erofs", ["--quiet", "-zlz4", join(root, "image"), join(root, "tree")], { stdio: "ignore" });
  image = readFileSync(join(root, "image"));
});
afterAll(() => rmSync(root, { recursive: true }));

const superblock = (): Buffer => Buffer.from(image.subarray(EROFS_OFFSET, EROFS_OFFSET + EROFS_SUPERBLOCK_BYTES));

/** What is said of the image after `change`. */
function judged(change: (superblock: Buffer) => void): ReturnType<typeof parseErofsSuperblock> {
  const changed = superblock();
  change(changed);
  return parseErofsSuperblock(changed, BigInt(image.length));
}

describe("an erofs superblock", () => {
  it("of an image that mkfs.erofs made is believed", async () => {
    expect(await readSuperblock(join(root, "image"), "erofs")).toEqual({ inodes: 3, usedBytes: BigInt(image.length) });
  });

  it.each<[string, (superblock: Buffer) => void, string]>([
    ["another file system", (it) => it.writeUInt32LE(0x7371_7368, 0), "no erofs"],
    ["blocks of 64 KiB", (it) => it.writeUInt8(16, 12), "blocks of 2^16 bytes"],
    ["features that nobody knows", (it) => it.writeUInt32LE(0x8000_0000, 80), "unknown features, 80000000"],
    ["another device", (it) => it.writeUInt16LE(1, 86), "wants other files or devices"],
    ["a block more than there is", (it) => it.writeUInt32LE(image.length / 4096 + 1, 36), "claims"],
    ["no blocks", (it) => it.writeUInt32LE(0, 36), "inode area of its image lies outside"],
    ["an inode area outside", (it) => it.writeUInt32LE(2 ** 31, 40), "inode area of its image lies outside"],
    ["an attribute area outside", (it) => it.writeUInt32LE(2 ** 31, 44), "attribute area of its image lies outside"],
    ["no inodes", (it) => it.writeBigUInt64LE(0n, 16), "no inodes"],
    ["inodes without end", (it) => it.writeBigUInt64LE(2n ** 64n - 1n, 16), "claims 18446744073709551615 inodes"],
  ])("that claims %s is not", (_what, change, problem) => {
    expect(judged(change)).toContain(problem);
  });

  it("of an image that is cut off is not believed", async () => {
    const cut = join(root, "cut");
    writeFileSync(cut, image);
    truncateSync(cut, 2000);
    expect(await readSuperblock(cut, "erofs")).toContain("claims");
    truncateSync(cut, EROFS_OFFSET + EROFS_SUPERBLOCK_BYTES - 1);
    expect(await readSuperblock(cut, "erofs")).toBe("its image is too short for erofs");
  });

  it("is judged whatever it holds, and never believed beyond its file", () => {
    const length = EROFS_SUPERBLOCK_BYTES;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: length, maxLength: length }), fc.boolean(), (bytes, isOverImage) => {
        const chance = Buffer.from(bytes);
        if (isOverImage) superblock().copy(chance, 0, 0, 16);
        else chance.writeUInt32LE(0xe0f5_e1e2, 0);
        const found = parseErofsSuperblock(chance, BigInt(image.length));
        if (typeof found !== "string") expect(found.usedBytes).toBeLessThanOrEqual(BigInt(image.length));
      }),
    );
  });
});
