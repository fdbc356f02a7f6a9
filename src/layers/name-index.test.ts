import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseDigest, parseLayerName } from "../model/ids.ts";
import { NameIndex } from "./name-index.ts";

const A = parseDigest("a".repeat(64));
const B = parseDigest("b".repeat(64));
const NAME = parseLayerName("100-python");

let root: string;
let directory: string;
let index: NameIndex;

beforeEach(async () => {
  root = await mkdtemp("/tmp/plybox-names-");
  directory = join(root, "names");
  index = new NameIndex(directory);
  index.prepare();
});

afterEach(() => rm(root, { recursive: true, force: true }));

describe("name index", () => {
  it("is empty where there is no store", () => {
    expect(new NameIndex(join(root, "nowhere")).current()).toEqual(new Map());
  });

  it("gives a free name once, and moves it on request", () => {
    expect(index.claim(NAME, A)).toBe(true);
    expect(index.claim(NAME, B)).toBe(false);
    expect(index.current()).toEqual(new Map([[NAME, A]]));
    index.point(NAME, B);
    expect(index.current()).toEqual(new Map([[NAME, B]]));
    index.release(NAME);
    expect(index.current()).toEqual(new Map());
    expect(() => index.release(NAME)).not.toThrow();
  });

  it("sees at once what another process changes, however quickly", () => {
    const other = new NameIndex(directory);
    for (let i = 0; i < 200; i++) {
      other.point(NAME, i % 2 === 0 ? A : B);
      expect(index.current().get(NAME)).toBe(i % 2 === 0 ? A : B);
    }
  });

  it("reads the directory once while it does not change", () => {
    index.claim(NAME, A);
    utimesSync(directory, 1000, 1000);
    const first = index.current();
    expect(index.current()).toBe(first);
    symlinkSync(`../${B}`, join(directory, "200-other"));
    expect(index.current().size).toBe(2);
  });

  it("takes nothing for a name that is none", () => {
    symlinkSync("../../etc", join(directory, "100-out"));
    symlinkSync(`../${A}`, join(directory, "Python"));
    writeFileSync(join(directory, "200-file"), "");
    mkdirSync(join(directory, "300-dir"));
    expect(index.current()).toEqual(new Map());
  });

  it("sweeps only what dead processes left", async () => {
    index.claim(NAME, A);
    symlinkSync(`../${A}`, join(directory, ".100-x.999999999.1.00112233445566778899aabbccddeeff.0123456789abcdef"));
    await index.sweep();
    expect(await readdir(directory)).toEqual([NAME]);
  });
});
