import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { claimRunDirectory } from "./run-directory.ts";

let root: string;
let runDir: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "plybox-run-directory-"));
  runDir = join(root, "run");
  for (const name of ["one", "two"]) mkdirSync(join(root, name));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const claim = (state: string) => claimRunDirectory({ runDir, stateDir: join(root, state) });
const claimAndGo = (state: string) => void claim(state).close();

it("is one daemon's at a time, whatever its state directory", () => {
  using _ = closing(claim("one"));
  for (const state of ["one", "two"]) {
    expect(() => claim(state)).toThrow(
      expect.objectContaining({ code: "daemon/unreachable", message: expect.stringContaining("another daemon uses") }),
    );
  }
});

it.each([
  ["s", "a socket"],
  ["uppers", "an upper"],
])("stays that of its state directory while %s holds %s, and is anybody's afterwards", (directory) => {
  claimAndGo("one");
  mkdirSync(join(runDir, directory));
  writeFileSync(join(runDir, directory, "something"), "");
  expect(() => claim("two")).toThrow(
    expect.objectContaining({ code: "daemon/unreachable", message: expect.stringContaining(join(root, "one")) }),
  );
  claimAndGo("one");
  rmSync(join(runDir, directory, "something"));
  claimAndGo("two");
});

it("knows its state directory by any path", () => {
  claimAndGo("one");
  mkdirSync(join(runDir, "s"));
  writeFileSync(join(runDir, "s", "something"), "");
  symlinkSync(join(root, "one"), join(root, "link"));
  claimAndGo("link");
});

const closing = (file: { close(): unknown }): Disposable => ({ [Symbol.dispose]: () => void file.close() });
