import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LayerTree } from "./layer-tree.ts";
import { formatPax, parsePax } from "./pax.ts";
import { spoolArchive } from "./spool.ts";
import { formatHeader } from "./tar-header.ts";
import type { TarEntry } from "./tar-reader.ts";
import { readTar } from "./tar-reader.ts";
import { writeTar } from "./tar-writer.ts";
import { TreeMeter } from "./tree-meter.ts";

const LONG = "n".repeat(150);
let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "plybox-tar-"));
  const tree = join(root, "tree");
  mkdirSync(join(tree, LONG), { recursive: true });
  writeFileSync(join(tree, LONG, LONG), "long");
  writeFileSync(join(tree, "file"), "x".repeat(1500), { mode: 0o640 });
  symlinkSync(LONG.repeat(2), join(tree, "link"));
  utimesSync(join(tree, "file"), 1e9, 1e9);
});
afterAll(() => rmSync(root, { recursive: true }));

const tar = (...args: readonly string[]): Buffer =>
  execFileSync("tar", ["-C", join(root, "tree"), "-cf", "-", ...args]);

async function withFile<T>(bytes: Buffer, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const path = join(root, "archive.tar");
  writeFileSync(path, bytes);
  const file = await open(path, "r");
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

const read = (bytes: Buffer): Promise<TarEntry[]> => withFile(bytes, (file) => collect(readTar(file, bytes.length)));

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const header = (name: string, size = 0, type = "0"): Buffer =>
  formatHeader({ ...{ name, size, type, mode: 0o644, uid: 0, gid: 0, mtime: 0, link: "", major: 0, minor: 0 } });
const END = Buffer.alloc(1024);
const records = (key: string, type: string): Buffer[] => {
  const body = formatPax(new Map([[key, Buffer.alloc(3000, "x")]]));
  return [header("r", body.length, type), body, Buffer.alloc(512 - (body.length % 512))];
};

describe("reading archives", () => {
  it.each(["gnu", "pax", "oldgnu"])("of GNU tar's format %s", async (format) => {
    const entries = await read(tar(`--format=${format}`, "--sort=name", "."));
    expect(entries.map(({ name, type }) => `${type} ${name}`)).toEqual([
      ...["5 ./", "0 ./file", "2 ./link", `5 ./${LONG}/`, `0 ./${LONG}/${LONG}`],
    ]);
    expect(entries[1]).toMatchObject({ mode: 0o640, size: 1500, mtime: 1e9 });
    expect(entries[2]?.link).toBe(LONG.repeat(2));
  });

  it.each(["v7", "ustar"])("of GNU tar's format %s", async (format) => {
    const entries = await read(tar(`--format=${format}`, "--sort=name", "file"));
    expect(entries[0]).toMatchObject({ name: "file", mode: 0o640, size: 1500, mtime: 1e9 });
  });

  it.each([
    ["cut off in an entry", () => tar("file").subarray(0, 1024), "in the middle of an entry"],
    ["cut off between entries", () => tar("file").subarray(0, 2048), "it has no end"],
    ["empty", () => Buffer.alloc(0), "it has no end"],
    ["no archive", () => Buffer.alloc(4096, "text"), "it is no tar"],
    ["with a header that was changed", () => tar("file").fill("g", 0, 1), "checksum"],
    ["sparse as GNU has it", () => Buffer.concat([header("a", 0, "S"), END]), "stored sparse"],
    [
      "with a name of 2 MiB",
      () => Buffer.concat([header("l", 2 ** 21, "L"), Buffer.alloc(2 ** 21), END]),
      "2097152 bytes",
    ],
    [
      "with much to say of all entries",
      () => Buffer.concat([...records("a", "g"), ...records("b", "g"), END]),
      "global",
    ],
    ["with damaged records", () => Buffer.concat([header("x", 9, "x"), Buffer.alloc(512, "9 a=b"), END]), "pax record"],
  ])("refuses one that is %s", async (_what, make, message) => {
    await expect(read(make())).rejects.toMatchObject({
      code: "file/bad-archive",
      message: expect.stringContaining(message),
    });
  });

  it("ends in a refusal or in entries within the file, whatever it holds", async () => {
    const honest = tar("--format=pax", ".");
    await fc.assert(
      fc.asyncProperty(
        fc.nat(honest.length - 1),
        fc.uint8Array({ minLength: 1, maxLength: 600 }),
        async (at, noise) => {
          const bytes = Buffer.from(honest);
          bytes.set(noise.subarray(0, bytes.length - at), at);
          const entries = await read(bytes).catch((error) => {
            expect(error).toMatchObject({ code: "file/bad-archive" });
            return [];
          });
          for (const { offset, size } of entries) expect(offset + size).toBeLessThanOrEqual(bytes.length);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("keeps records of any bytes", () => {
    const key = fc.stringMatching(/^[a-z.]{1,120}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.uint8Array({ maxLength: 1100 }))), (pairs) => {
        const records = new Map(pairs.map(([name, value]) => [name, Buffer.from(value)]));
        expect(parsePax(formatPax(records))).toEqual(records);
      }),
    );
  });

  it("writes what GNU tar reads, the same for the same tree in another order", async () => {
    const [one, other] = [
      tar("--sort=name", "."),
      tar("--format=gnu", "--sort=none", "./link", `./${LONG}`, "./file", "."),
    ];
    const written = await Promise.all(
      [one, other].map(async (bytes, i) => {
        const path = join(root, `archive${i}`);
        writeFileSync(path, bytes);
        const file = await open(path, "r");
        const tree = new LayerTree(new TreeMeter({ inodes: 100, unpackedBytes: 1e6 }));
        for await (const entry of readTar(file, bytes.length)) tree.add({ ...entry, mtime: 5 });
        const chunks = await collect(writeTar(tree.root, file));
        await file.close();
        return Buffer.concat(chunks);
      }),
    );
    expect(written[0]?.equals(written[1] ?? END)).toBe(true);
    const list = execFileSync("tar", ["-tf", "-"], { input: written[0] }).toString();
    expect(list.split("\n")).toEqual(["file", "link", LONG, `${LONG}/${LONG}`, ""]);
    expect(execFileSync("tar", ["-xOf", "-", "file"], { input: written[0] }).toString()).toBe("x".repeat(1500));
  });
});

describe("spooling", () => {
  const spool = (bytes: Buffer, mostBytes = 1e6): Promise<unknown> => {
    rmSync(join(root, "spool"), { force: true });
    return spoolArchive(Readable.from([bytes.subarray(0, 1), bytes.subarray(1)]), join(root, "spool"), { mostBytes });
  };
  const compressed = (program: string) => execFileSync(program, ["-c"], { input: tar(".") });

  it.each([
    ["as it is", () => tar(".")],
    ["unpacked from gzip", () => gzipSync(tar("."))],
    ["unpacked from xz", () => compressed("xz")],
    ["unpacked from bzip2", () => compressed("bzip2")],
    ["unpacked from zstd", () => compressed("zstd")],
  ])("stores an archive %s", async (_how, make) => {
    await spool(make());
    expect(readFileSync(join(root, "spool")).equals(tar("."))).toBe(true);
  });

  it.each([
    ["gzip", () => gzipSync(tar(".")).subarray(0, 100)],
    ["xz", () => compressed("xz").subarray(0, 100)],
  ])("refuses what is cut off in %s", async (_name, make) => {
    await expect(spool(make())).rejects.toMatchObject({ code: "file/bad-archive" });
  });

  it("stops where it becomes too much", async () => {
    await expect(spool(gzipSync(Buffer.alloc(2e6)))).rejects.toMatchObject({ code: "layer/too-large" });
    expect(readFileSync(join(root, "spool")).length).toBeLessThanOrEqual(1e6);
  });
});
