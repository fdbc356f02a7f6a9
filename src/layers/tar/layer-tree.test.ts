import { describe, expect, it } from "vitest";
import { tarEntry as entry } from "../../../test/support/tar-entry.ts";
import type { Node } from "./layer-tree.ts";
import { LayerTree } from "./layer-tree.ts";
import type { TarEntry } from "./tar-reader.ts";
import { TreeMeter } from "./tree-meter.ts";

const BOUNDS = { inodes: 100, unpackedBytes: 1000 };
const OPAQUE = "trusted.overlay.opaque";

const link = (name: string, to: string) => entry(name, "1", { link: to });
const attribute = (name: string, value: string, type = "5") =>
  entry("a", type, { attributes: new Map([[name, Buffer.from(value)]]) });

function treeOf(...entries: readonly TarEntry[]): LayerTree {
  const tree = new LayerTree(new TreeMeter(BOUNDS));
  for (const each of entries) tree.add(each);
  return tree;
}

/** Every path with its type: `d`irectory, `f`ile, `w`hiteout and so on, `o` for an opaque directory. */
function listing({ root }: LayerTree): string[] {
  const walk = (node: Node, path: string): string[] =>
    [...node.children].flatMap(([name, child]) => {
      const isWhiteout = child.type === "character" && child.major === 0 && child.minor === 0;
      const type = isWhiteout ? "w" : child.attributes.has(OPAQUE) ? "o" : child.type[0];
      return [`${type} ${path}${name}`, ...walk(child, `${path}${name}/`)];
    });
  return walk(root, "").sort((a, b) => (a.slice(2) < b.slice(2) ? -1 : 1));
}

describe("a layer's tree", () => {
  it("makes the directories that have no entry, and takes the last entry of a name", () => {
    const tree = treeOf(entry("./a//b/file", "0", { size: 1 }), entry("a/b/file", "0", { size: 2 }), entry("a/", "0"));
    expect(listing(tree)).toEqual(["d a", "d a/b", "f a/b/file"]);
    expect(tree.root.children.get("a")?.children.get("b")?.children.get("file")?.size).toBe(2);
    expect(tree.root.children.get("a")).toMatchObject({ mode: 0o644, mtime: 1 });
  });

  it("has one file for all its links, also when its first name becomes another", () => {
    const tree = treeOf(entry("a"), link("b", "./a"), entry("a", "5"), link("c", "b"));
    const { children } = tree.root;
    expect(children.get("b")).toBe(children.get("c"));
    expect(listing(tree)).toEqual(["d a", "f b", "f c"]);
  });

  it.each([
    ["of a file", [entry(".wh.gone"), entry("d/.wh.gone")], ["d d", "w d/gone", "w gone"]],
    ["of all that was in a directory", [entry("d", "5"), entry("d/.wh..wh..opq"), entry("d/f")], ["o d", "f d/f"]],
    ["of a directory before its own entry", [entry("d/.wh..wh..opq"), entry("d", "5")], ["o d"]],
    ["and the file anew, in either order", [entry(".wh.f"), entry("f"), entry("g"), entry(".wh.g")], ["f f", "f g"]],
    [
      "and the directory anew",
      [entry(".wh.d"), entry("d/f"), entry("e/f"), entry(".wh.e")],
      ["o d", "f d/f", "o e", "f e/f"],
    ],
    ["as overlayfs has them", [entry("gone", "3"), attribute(OPAQUE, "y")], ["o a", "w gone"]],
    ["of aufs's own files, which nobody needs", [entry(".wh..wh.plnk", "5"), entry(".wh..wh.aufs")], []],
  ])("has removals %s", (_what, entries, expected) => {
    expect(listing(treeOf(...entries))).toEqual(expected);
  });

  it("keeps what has rights elsewhere: here it has none", () => {
    const capability = attribute("security.capability", "x", "0");
    const tree = treeOf(
      { ...capability, mode: 0o6755 },
      entry("null", "3", { major: 1, minor: 3 }),
      entry("l", "2", { link: "/etc" }),
    );
    expect(tree.root.children.get("a")).toMatchObject({ mode: 0o6755, attributes: capability.attributes });
    expect(listing(tree)).toEqual(["f a", "s l", "c null"]);
  });

  it("leaves out the attributes that are of a machine, or have no place in an image", () => {
    for (const name of ["trusted.overlay.origin", "trusted.overlay.impure", "system.posix_acl_access"]) {
      expect(treeOf(attribute(name, "x")).root.children.get("a")?.attributes.size).toBe(0);
    }
  });

  it.each<[string, readonly TarEntry[], string, string]>([
    ["an absolute name", [entry("/etc/passwd")], "file/bad-archive", '"/etc/passwd" has an absolute name'],
    ["a name that leads out", [entry("a/../../b")], "file/bad-archive", 'leads out by ".."'],
    ["a name below a symlink", [entry("a", "2", { link: "/" }), entry("a/b")], "file/bad-archive", "no directory"],
    ["a name below a file", [entry("a"), entry("a/b/c")], "file/bad-archive", "no directory"],
    ["a link that leads out", [link("a", "../b")], "file/bad-archive", 'leads out by ".."'],
    ["a link to an absolute name", [link("a", "/etc/passwd")], "file/bad-archive", "absolute"],
    [
      "a link to what is not in it",
      [link("a", "b"), entry("b")],
      "file/bad-archive",
      "no file of the archive before it",
    ],
    ["a link to a directory", [entry("d", "5"), link("a", "d")], "file/bad-archive", "no file of the archive"],
    [
      "a link through a symlink",
      [entry("s", "2", { link: "d" }), entry("d/f"), link("a", "s/f")],
      "file/bad-archive",
      "no file",
    ],
    ["a file in a full directory's place", [entry("d/f"), entry("d")], "file/bad-archive", "takes the place of"],
    ["a root that is a link", [entry("./", "2", { link: "/" })], "file/bad-archive", "the root, and no directory"],
    ["a NUL in a name", [entry("a\0b")], "file/bad-archive", "NUL"],
    ["a name of 256 bytes", [entry("n".repeat(256))], "file/bad-archive", "a name of 256 bytes"],
    ["a path of 4 KiB", [entry("n/".repeat(2048))], "file/bad-archive", "a path of 4096 bytes"],
    ["a symlink to nothing", [entry("a", "2")], "file/bad-archive", "a link to nothing"],
    ["a removal of no name", [entry("d/.wh.")], "file/bad-archive", "removes no name"],
    ["a removal of what is above", [entry("d/.wh...")], "file/bad-archive", "removes no name"],
    ["an unknown type", [entry("a", "Z")], "file/bad-archive", 'unknown type "Z"'],
    [
      "a redirect of overlayfs",
      [attribute("trusted.overlay.redirect", "/etc")],
      "file/bad-archive",
      "change other layers",
    ],
    [
      "a metacopy of overlayfs",
      [attribute("user.overlay.metacopy", "", "0")],
      "file/bad-archive",
      "change other layers",
    ],
    ["an attribute that is too long", [attribute("user.a", "x".repeat(65_536))], "file/bad-archive", "65536 bytes"],
    ["an owner that no sandbox has", [entry("a", "0", { uid: 65_536 })], "input/invalid", "owner id 65536"],
    ["a group below none", [entry("a", "0", { gid: -1 })], "input/invalid", "group id -1"],
    ["more bytes than are allowed", [entry("a", "0", { size: 1001 })], "layer/too-large", "more than the 1000 bytes"],
  ])("has no %s", (_what, entries, code, message) => {
    expect(() => treeOf(...entries)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });

  it("counts the directories that names imply", () => {
    expect(() => treeOf(entry("a/".repeat(100)))).not.toThrow();
    expect(() => treeOf(entry("a/".repeat(101)))).toThrow(expect.objectContaining({ code: "layer/too-large" }));
  });

  it("bounds what has to be in memory until it is packed", () => {
    const value = Buffer.alloc(60_000);
    const attributes = new Map(Array.from({ length: 90 }, (_, n) => [`user.${n}`, value]));
    const tree = new LayerTree(new TreeMeter({ inodes: 1000, unpackedBytes: 1000 }));
    const add = () => tree.add(entry("same", "0", { attributes }));
    // What is kept of them is that of the last entry.
    for (let n = 0; n < 99; n++) add();
    expect(add).toThrow(
      expect.objectContaining({ code: "layer/too-large", message: expect.stringContaining("names") }),
    );
  });

  it("has no more entries than are allowed, whatever they are of", () => {
    const tree = treeOf(...Array.from({ length: 100 }, () => entry("same")));
    expect(() => tree.add(entry("same"))).toThrow(expect.objectContaining({ code: "layer/too-large" }));
  });
});
