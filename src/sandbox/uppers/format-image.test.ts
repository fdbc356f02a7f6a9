import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { formatImage } from "./format-image.ts";

const MIB = 1024 ** 2;
let directory: string;
let image: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plybox-image-"));
  image = join(directory, "image.ext4");
});
afterEach(() => rmSync(directory, { recursive: true }));

/** What the superblock says, by the names that dumpe2fs gives it. */
function superblock(): Readonly<Record<string, string>> {
  const text = execFileSync("/usr/sbin/dumpe2fs", ["-h", image], { encoding: "utf8", stdio: "pipe" });
  return Object.fromEntries(text.split("\n").flatMap((line) => [/^([^:]+):\s+(.*)$/.exec(line)?.slice(1) ?? []]));
}

it.each([
  ["the least there is", { bytes: 16 * MIB, inodes: 64 }],
  ["as many inodes as blocks", { bytes: 16 * MIB, inodes: 4096 }],
  ["an ordinary one", { bytes: 2048 * MIB }],
  ["one of many groups with few inodes", { bytes: 65_536 * MIB, inodes: 64 }],
  ["the largest", { bytes: 1024 ** 4 }],
])("an image, %s, is sound and holds what was asked for", async (_, size) => {
  await formatImage({ image, ...size });
  const { bytes, inodes } = { inodes: size.bytes / 8192, ...size };
  expect(statSync(image)).toMatchObject({ size: bytes, mode: 0o100_600 });
  const found = superblock();
  expect(Number(found["Block count"])).toBe(bytes / 4096);
  // Of as many inodes as blocks ext4's own are a part.
  expect(Number(found["Inode count"])).toBeGreaterThanOrEqual(Math.min(inodes + 11, bytes / 4096));
  expect(found).toMatchObject({ "Reserved block count": "0", "Filesystem state": "clean" });
  expect(found["Filesystem features"]).toContain("has_journal");
  // Of the largest that takes seconds.
  if (bytes === 1024 ** 4) return;
  expect(() => execFileSync("/usr/sbin/e2fsck", ["-fn", image], { stdio: "pipe" })).not.toThrow();
});

it("an image takes next to no room", async () => {
  await formatImage({ image, bytes: 2048 * MIB });
  expect(statSync(image).blocks * 512).toBeLessThan(MIB / 2);
});

it("a size that is no multiple of a block is rounded down", async () => {
  await formatImage({ image, bytes: 16 * MIB + 4095 });
  expect(statSync(image).size).toBe(16 * MIB);
});

it("what is there already is left alone", async () => {
  writeFileSync(image, "mine");
  await expect(formatImage({ image, bytes: 16 * MIB })).rejects.toMatchObject({ code: "EEXIST" });
  expect(statSync(image).size).toBe(4);
});

it("a format that cannot be is told with the program's complaint, and without the path", async () => {
  const failure = await formatImage({ image, bytes: 8 * MIB }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "sandbox/launch-failed", step: "mkfs.ext4" });
  expect((failure as Error).message).toContain("too big");
  expect((failure as Error).message).not.toContain(directory);
});
