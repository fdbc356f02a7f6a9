import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatImage } from "./format-image.ts";
import { mendImage } from "./mend-image.ts";

let directory: string;
let image: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "plybox-mend-"));
  image = join(directory, "image.ext4");
  await formatImage({ image, bytes: 16 * 1024 ** 2 });
});
afterEach(() => rmSync(directory, { recursive: true }));

const tell = (...commands: readonly string[]): void => {
  for (const command of commands) execFileSync("/usr/sbin/debugfs", ["-w", "-R", command, image], { stdio: "pipe" });
};
/** As the kernel notes an error: bit 1 of the state, beside that it was unmounted cleanly. */
const noteErrors = (): void => tell("set_super_value state 3");
const isSound = (): boolean => {
  try {
    execFileSync("/usr/sbin/e2fsck", ["-fn", image], { stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
};
const state = (): number => readFileSync(image).readUInt16LE(1024 + 0x3a);

/** A file with a name that leads nowhere: what e2fsck puts right without asking is a count of links, and not this. */
const overwriteRoot = (): void => {
  const blocks = execFileSync("/usr/sbin/debugfs", ["-R", "blocks <2>", image], { encoding: "utf8", stdio: "pipe" });
  const file = openSync(image, "r+");
  writeSync(file, Buffer.alloc(4096, 0x5a), 0, 4096, Number(blocks.trim()) * 4096);
  closeSync(file);
};

describe("an image", () => {
  it("that noted no error is left as it is, whatever is wrong with it", async () => {
    tell("set_inode_field <2> links_count 77");
    expect(isSound()).toBe(false);
    const before = readFileSync(image);
    await mendImage(image);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  it("that noted one is mended, and the note is gone", async () => {
    tell("set_inode_field <2> links_count 77");
    noteErrors();
    await mendImage(image);
    expect(isSound()).toBe(true);
    expect(state()).toBe(1);
  });

  it("that is mounted somewhere is not touched", async () => {
    noteErrors();
    const device = execFileSync("losetup", ["--find", "--show", image], { encoding: "utf8" }).trim();
    try {
      await mendImage(image);
      expect(state()).toBe(3);
    } finally {
      execFileSync("losetup", ["--detach", device]);
    }
    // Whoever looks at a device holds it for a moment.
    await expect.poll(() => mendImage(image).then(state)).toBe(1);
  });

  it("that cannot be mended without a loss is left to its owner", async () => {
    noteErrors();
    overwriteRoot();
    const failure = await mendImage(image).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "sandbox/launch-failed", step: "e2fsck" });
    expect((failure as Error).message).not.toContain(directory);
  });

  it("that is no ext4 is for the mount to refuse", async () => {
    writeFileSync(image, Buffer.alloc(4096, 0xff));
    await mendImage(image);
    writeFileSync(image, "short");
    await mendImage(image);
  });
});
