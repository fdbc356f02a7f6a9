import { execFileSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { directoryBytes } from "./directory-bytes.ts";

const KIB = 1024;
const { signal } = new AbortController();
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "plybox-bytes-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const bytesNow = () => directoryBytes(root, { signal });
/** What another program finds. */
const diskUsage = () =>
  Number(execFileSync("du", ["-sx", "--block-size=1", root], { encoding: "utf8" }).split("\t")[0]);
const openFiles = () => readdirSync("/proc/self/fd").length;

function write(name: string, kib: number): string {
  const path = join(root, name);
  writeFileSync(path, Buffer.alloc(kib * KIB, 1));
  return path;
}

it("counts the blocks of files and directories, as du does", async () => {
  mkdirSync(join(root, "a/b/c"), { recursive: true });
  for (let i = 0; i < 100; i++) write(`a/b/${i}`, i % 10);
  write("a/b/c/large", 300);
  const files = openFiles();
  expect(await bytesNow()).toBe(diskUsage());
  expect(await bytesNow()).toBeGreaterThan(700 * KIB);
  expect(openFiles()).toBe(files);
});

it("counts a file of several names once", async () => {
  const empty = (await bytesNow()) ?? 0;
  const file = write("one", 64);
  for (let i = 0; i < 40; i++) linkSync(file, join(root, `name-${i}`));
  expect((await bytesNow()) ?? 0).toBe(empty + 64 * KIB);
  expect(await bytesNow()).toBe(diskUsage());
});

it("counts nothing for the holes of a file", async () => {
  const before = (await bytesNow()) ?? 0;
  truncateSync(write("sparse", 4), 1024 ** 3);
  expect(await bytesNow()).toBe(before + 4 * KIB);
});

it("follows no symbolic link, to a directory outside or to itself", async () => {
  const before = (await bytesNow()) ?? 0;
  symlinkSync("/usr", join(root, "outside"));
  symlinkSync(".", join(root, "loop"));
  // Targets that are short are kept in the inode.
  expect(await bytesNow()).toBe(before);
});

it("counts names that are no UTF-8", async () => {
  const before = (await bytesNow()) ?? 0;
  const directory = Buffer.concat([Buffer.from(`${root}/`), Buffer.of(0xff, 0xfe)]);
  mkdirSync(directory);
  writeFileSync(Buffer.concat([directory, Buffer.from("/f\xe9", "latin1")]), Buffer.alloc(8 * KIB));
  expect(await bytesNow()).toBe(diskUsage());
  expect(await bytesNow()).toBeGreaterThanOrEqual(before + 8 * KIB);
});

it("passes over what vanishes, or becomes a link, while it walks", async () => {
  for (let i = 0; i < 200; i++) {
    mkdirSync(join(root, `${i}`));
    write(`${i}/file`, 4);
  }
  const whole = (await bytesNow()) ?? 0;
  const files = openFiles();
  const walking = bytesNow();
  for (let i = 0; i < 200; i++) {
    rmSync(join(root, `${i}`), { recursive: true });
    if (i % 2 === 0) symlinkSync("/usr", join(root, `${i}`));
    if (i % 20 === 0) await new Promise(setImmediate);
  }
  expect(await walking).toBeLessThanOrEqual(whole);
  expect(await directoryBytes(join(root, "gone"), { signal })).toBe(0);
  expect(openFiles()).toBe(files);
});

it("gives up on a tree of too many entries or levels, and closes what it holds", async () => {
  for (let i = 0; i < 20; i++) write(`${i}`, 0);
  expect(await directoryBytes(root, { signal, maxEntries: 21 })).not.toBeNull();
  expect(await directoryBytes(root, { signal, maxEntries: 20 })).toBeNull();
  const files = openFiles();
  mkdirSync(join(root, "d/".repeat(127)), { recursive: true });
  expect(await bytesNow()).toBe(diskUsage());
  mkdirSync(join(root, "d/".repeat(128)));
  expect(await bytesNow()).toBeNull();
  expect(openFiles()).toBe(files);
});

it("ends with its signal", async () => {
  const abort = new AbortController();
  const files = openFiles();
  const walking = directoryBytes("/usr", { signal: abort.signal });
  abort.abort(new Error("enough"));
  await expect(walking).rejects.toThrow("enough");
  expect(openFiles()).toBe(files);
});
