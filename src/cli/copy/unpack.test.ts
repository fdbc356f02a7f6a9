import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract, Header } from "tar";
import { afterEach, beforeEach, expect, it } from "vitest";
import { unpack } from "./unpack.ts";

interface Entry {
  readonly path: string;
  readonly type?: "File" | "Directory" | "SymbolicLink" | "Link" | "CharacterDevice" | "FIFO";
  readonly linkpath?: string;
  readonly content?: string;
  readonly mode?: number;
}

/** An archive as a sandbox might send it: nothing about its entries is checked. */
async function* archiveOf(entries: readonly Entry[]): AsyncGenerator<Uint8Array> {
  for (const { path, type = "File", linkpath, content = "", mode = 0o644 } of entries) {
    const size = Buffer.byteLength(content);
    const block = Buffer.alloc(512);
    new Header({ path, type, mode, size, uid: 0, gid: 0, mtime: new Date(0), ...(linkpath && { linkpath }) }).encode(
      block,
    );
    yield block;
    if (size > 0) yield Buffer.concat([Buffer.from(content), Buffer.alloc((512 - (size % 512)) % 512)]);
  }
  yield Buffer.alloc(1024);
}

let root: string;
let inside: string;
let outside: string;
let skipped: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "plybox-unpack-"));
  inside = join(root, "in");
  outside = join(root, "out");
  skipped = [];
  mkdirSync(inside);
  mkdirSync(outside);
  writeFileSync(join(outside, "victim"), "untouched");
});
afterEach(() => rmSync(root, { recursive: true }));

const unpacked = (...entries: readonly Entry[]): Promise<void> =>
  unpack(archiveOf(entries), inside, (path) => skipped.push(path));

/** Nothing outside has been made or changed. */
function expectUntouched(): void {
  expect(readdirSync(root).sort()).toEqual(["in", "out"]);
  expect(readdirSync(outside)).toEqual(["victim"]);
  expect(readFileSync(join(outside, "victim"), "utf8")).toBe("untouched");
  expect(statSync(join(outside, "victim")).nlink).toBe(1);
}

const HOSTILE: Readonly<Record<string, () => readonly Entry[]>> = {
  "a name with ..": () => [{ path: "../out/new", content: "x" }],
  "a name with .. in the middle": () => [{ path: "a/../../out/victim", content: "x" }],
  "an absolute name": () => [{ path: join(outside, "victim"), content: "x" }],
  "a hard link to what is outside": () => [
    { path: "link", type: "Link", linkpath: "../out/victim" },
    { path: "link", content: "x" },
  ],
  "a hard link to an absolute name": () => [{ path: "link", type: "Link", linkpath: join(outside, "victim") }],
  "a symlink with .. in its name": () => [{ path: "../out/link", type: "SymbolicLink", linkpath: "x" }],
  "a symlink with an absolute name": () => [{ path: join(outside, "link"), type: "SymbolicLink", linkpath: "x" }],
  "a symlink below a symlink": () => [
    { path: "way", type: "SymbolicLink", linkpath: outside },
    { path: "way/link", type: "SymbolicLink", linkpath: "x" },
  ],
};

it.each(Object.entries(HOSTILE))("%s is refused and writes nothing outside", async (_name, entries) => {
  await expect(unpacked(...entries())).rejects.toMatchObject({ code: "file/bad-archive" });
  expectUntouched();
});

it("a file below a symlink of the archive is not written through it", async () => {
  const way: Entry = { path: "way", type: "SymbolicLink", linkpath: outside };
  await unpacked(way, { path: "way/victim", content: "x" }).catch(() => {});
  expectUntouched();
});

it("a file in place of a symlink of the archive is not written through it", async () => {
  await unpacked(
    { path: "way", type: "SymbolicLink", linkpath: join(outside, "victim") },
    { path: "way", content: "x" },
  ).catch(() => {});
  expectUntouched();
});

it("the same archives do get out where nobody looks: the attacks are real", async () => {
  const attack = archiveOf(HOSTILE["a name with .."]?.() ?? []);
  const naive = extract({ cwd: inside, preservePaths: true });
  await pipeline(Readable.from(attack), naive as unknown as NodeJS.WritableStream);
  expect(existsSync(join(outside, "new"))).toBe(true);
});

it("an archive that is cut off is refused", async () => {
  const whole = await Readable.from(archiveOf([{ path: "a", content: "x".repeat(5000) }])).toArray();
  const cut = Readable.from([Buffer.concat(whole as Buffer[]).subarray(0, 2000)]);
  await expect(unpack(cut, inside, () => {})).rejects.toMatchObject({ code: "file/bad-archive" });
});

it("files, directories and links are made as they are, without set-user-id bits", async () => {
  await unpacked(
    { path: "./", type: "Directory", mode: 0o755 },
    { path: "./d/", type: "Directory", mode: 0o750 },
    { path: "./d/f", content: "text", mode: 0o4755 },
    { path: "./d/same", type: "Link", linkpath: "./d/f" },
    { path: "./up", type: "SymbolicLink", linkpath: "../../anywhere" },
  );
  expect(readFileSync(join(inside, "d/f"), "utf8")).toBe("text");
  expect(statSync(join(inside, "d/f")).mode & 0o7777).toBe(0o755);
  expect(statSync(join(inside, "d/same")).ino).toBe(statSync(join(inside, "d/f")).ino);
  expect(readlinkSync(join(inside, "up"))).toBe("../../anywhere");
});

it("a symlink takes the place of a file, and not of a directory", async () => {
  writeFileSync(join(inside, "old"), "");
  await unpacked({ path: "old", type: "SymbolicLink", linkpath: "new" });
  expect(lstatSync(join(inside, "old")).isSymbolicLink()).toBe(true);
  mkdirSync(join(inside, "dir"));
  const replacing = unpacked({ path: "dir", type: "SymbolicLink", linkpath: "new" });
  await expect(replacing).rejects.toMatchObject({ code: "file/is-a-directory" });
});

it("devices and FIFOs are left out and told of", async () => {
  await unpacked(
    { path: "null", type: "CharacterDevice" },
    { path: "pipe", type: "FIFO" },
    { path: "f", content: "f" },
  );
  expect(readdirSync(inside)).toEqual(["f"]);
  expect(skipped).toEqual(["null", "pipe"]);
});
