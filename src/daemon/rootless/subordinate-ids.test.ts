import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { allotted, nameOf } from "./subordinate-ids.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plybox-ids-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function file(text: string): string {
  const path = join(directory, "file");
  writeFileSync(path, text);
  return path;
}

const ANN = { uid: 1000, name: "ann" };

it.each([
  ["by name", "bob:1:9\nann:100000:65536\n", { first: 100_000, count: 65_536 }],
  ["by number", "1000:100000:65536\n", { first: 100_000, count: 65_536 }],
  ["the largest", "ann:1:10\nann:200:20\nann:300:5\n", { first: 200, count: 20 }],
  ["to nobody else", "anna:100000:65536\n:5:6\n", undefined],
  ["nothing by a line that is none", "ann:x:9\nann:0:9\nann:5\nann\n", undefined],
])("are allotted %s", (_how, text, range) => {
  expect(allotted(file(text), ANN)).toEqual(range);
});

it("are nobody's without the file", () => {
  expect(allotted(join(directory, "none"), ANN)).toBeUndefined();
});

it("are not those of a nameless entry for a user without an account", () => {
  expect(allotted(file(":100000:65536\nundefined:7:7\n"), { uid: 1000, name: undefined })).toBeUndefined();
});

it("go by the account's name", () => {
  const passwd = file("root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
  expect(nameOf(passwd, 1000)).toBe("ann");
  expect(nameOf(passwd, 1001)).toBeUndefined();
});
