import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bindsFor, isShown } from "./allowed-paths.ts";

let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "plybox-paths-")));
  mkdirSync(join(root, "src/out"), { recursive: true });
  writeFileSync(join(root, "notes.txt"), "notes");
  symlinkSync(join(root, "src"), join(root, "link"));
});
afterEach(() => rmSync(root, { recursive: true }));

describe("bindsFor", () => {
  it("shows a path at the same place, owned by root inside", () => {
    expect(bindsFor({ read: [join(root, "notes.txt")], write: [] }, "/")).toEqual([
      { source: join(root, "notes.txt"), target: join(root, "notes.txt"), readOnly: true, owner: "root" },
    ]);
  });

  it("reads relative paths from the current directory, normal and without a trailing slash", () => {
    const binds = bindsFor({ read: [], write: ["./src/../src/", "."] }, root);
    expect(binds.map((bind) => [bind.target, bind.readOnly])).toEqual([
      [root, false],
      [join(root, "src"), false],
    ]);
  });

  it("puts outer directories first, so that a path below keeps its own access", () => {
    const outerLast = bindsFor({ read: [join(root, "src/out")], write: [join(root, "src")] }, "/");
    const outerFirst = bindsFor({ read: [join(root, "src")], write: [join(root, "src/out")] }, "/");
    expect(outerLast.map((bind) => [bind.target, bind.readOnly])).toEqual([
      [join(root, "src"), false],
      [join(root, "src/out"), true],
    ]);
    expect(outerFirst.map((bind) => bind.readOnly)).toEqual([true, false]);
  });

  it("follows a symbolic link to what it shows and keeps the name that was asked for", () => {
    expect(bindsFor({ read: [join(root, "link")], write: [] }, "/")).toMatchObject([
      { source: join(root, "src"), target: join(root, "link") },
    ]);
  });

  it("takes a path that is named twice once", () => {
    expect(bindsFor({ read: ["src", "./src"], write: [] }, root)).toHaveLength(1);
  });

  it.each([
    ["a missing path", { read: ["nowhere"], write: [] }, /nowhere does not exist$/],
    ["a path below a file", { read: ["notes.txt/x"], write: [] }, /notes\.txt\/x cannot be read$/],
    ["the root", { read: ["/"], write: [] }, "/ cannot be shown whole"],
    ["a device", { read: ["/dev/null"], write: [] }, "/dev/null is neither a file nor a directory"],
    ["one path both ways", { read: ["src"], write: ["src/"] }, "is given to both --allow-read and --allow-write"],
  ])("refuses %s", (_what, allowed, message) => {
    expect(() => bindsFor(allowed, root)).toThrow(message);
  });
});

describe("isShown", () => {
  const binds = [{ source: "/a/b", target: "/a/b", readOnly: true, owner: "root" }] as const;

  it.each(["/a/b", "/a/b/c", "/a/b/..c"])("is true of %s", (path) => {
    expect(isShown(path, binds)).toBe(true);
  });

  it.each(["/a", "/a/bc", "/", "/a/b/../c"])("is false of %s", (path) => {
    expect(isShown(path, binds)).toBe(false);
  });
});
