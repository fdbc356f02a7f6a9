import { describe, expect, it } from "vitest";
import { tarEntry as entry } from "../../../test/support/tar-entry.ts";
import type { Node } from "../tar/layer-tree.ts";
import { directory, LayerTree } from "../tar/layer-tree.ts";
import type { TarEntry } from "../tar/tar-reader.ts";
import { TreeMeter } from "../tar/tree-meter.ts";
import { applyLayer, ensureDirectory } from "./apply-layer.ts";

const OPAQUE = "trusted.overlay.opaque";

const link = (name: string, to: string) => entry(name, "2", { link: to });

function treeOf(...layers: readonly (readonly TarEntry[])[]): Node {
  const meter = new TreeMeter({ inodes: 1000, unpackedBytes: 1000 });
  const root = directory();
  for (const entries of layers) {
    const tree = new LayerTree(meter, root);
    for (const each of entries) tree.add(each);
    applyLayer(root, tree.root);
  }
  return root;
}

function paths(root: Node): string[] {
  const walk = (node: Node, path: string): string[] =>
    [...node.children].flatMap(([name, child]) => [
      `${child.type[0]} ${path}${name}`,
      ...walk(child, `${path}${name}/`),
    ]);
  return walk(root, "").sort((a, b) => (a.slice(2) < b.slice(2) ? -1 : 1));
}

const at = (root: Node, path: string): Node | undefined =>
  path.split("/").reduce<Node | undefined>((node, name) => node?.children.get(name), root);

describe("a layer over others", () => {
  const base = [entry("a", "5"), entry("a/f"), entry("a/g"), entry("b/c/f"), entry("x")];

  it.each<[string, readonly TarEntry[], readonly string[]]>([
    ["adds", [entry("a/h")], ["d a", "f a/f", "f a/g", "f a/h", "d b", "d b/c", "f b/c/f", "f x"]],
    ["removes files", [entry("a/.wh.f"), entry(".wh.x")], ["d a", "f a/g", "d b", "d b/c", "f b/c/f"]],
    ["removes directories", [entry(".wh.b")], ["d a", "f a/f", "f a/g", "f x"]],
    [
      "removes what is not there",
      [entry(".wh.none"), entry("n/.wh.none")],
      [...paths(treeOf(base, [entry("n", "5")]))],
    ],
    [
      "hides all of a directory",
      [entry("a/.wh..wh..opq"), entry("a/h")],
      ["d a", "f a/h", "d b", "d b/c", "f b/c/f", "f x"],
    ],
    ["has a directory anew", [entry(".wh.b"), entry("b/d")], ["d a", "f a/f", "f a/g", "d b", "f b/d", "f x"]],
    ["puts a file in a directory's place", [entry("b")], ["d a", "f a/f", "f a/g", "f b", "f x"]],
    [
      "puts a directory in a file's place",
      [entry("x/y")],
      ["d a", "f a/f", "f a/g", "d b", "d b/c", "f b/c/f", "d x", "f x/y"],
    ],
  ])("%s", (_what, layer, expected) => {
    const tree = treeOf(base, layer);
    expect(paths(tree)).toEqual(expected);
    // Nothing says any more what was removed.
    expect([...tree.children.values()].some(({ attributes }) => attributes.has(OPAQUE))).toBe(false);
  });

  it("removes from those below it alone, in whatever order it says so", () => {
    expect(paths(treeOf([entry("d/old")], [entry("d/new"), entry("d/.wh..wh..opq")]))).toEqual(["d d", "f d/new"]);
    expect(paths(treeOf([entry("f", "5"), entry("f/old")], [entry("f"), entry(".wh.f")]))).toEqual(["f f"]);
  });

  it("changes a directory that it has an entry of, and no other", () => {
    const sticky = entry("tmp", "5", { mode: 0o1777, uid: 7 });
    expect(at(treeOf([sticky], [entry("tmp/f")]), "tmp")).toMatchObject({ mode: 0o1777, uid: 7 });
    expect(at(treeOf([sticky], [entry("tmp", "5", { mode: 0o700 }), entry("tmp/f")]), "tmp")).toMatchObject({
      mode: 0o700,
    });
    expect(treeOf([entry("./", "5", { mode: 0o711 })], [entry("f")]).mode).toBe(0o711);
    expect(treeOf([entry("./", "5", { mode: 0o711 })], [entry("./", "5", { mode: 0o755 })]).mode).toBe(0o755);
  });

  it("goes through a link of those below to a directory that it has no entry of", () => {
    const merged = [
      entry("usr/lib", "5"),
      link("lib", "usr/lib"),
      link("usr/lib64", "../lib"),
      link("abs", "/usr/./lib64/"),
    ];
    expect(paths(treeOf(merged, [entry("lib/f"), entry("usr/lib64/g"), entry("abs/h")]))).toEqual(
      paths(treeOf(merged, [entry("usr/lib/f"), entry("usr/lib/g"), entry("usr/lib/h")])),
    );
    expect(paths(treeOf([...merged, entry("usr/lib/f")], [entry("abs/.wh.f")]))).toEqual(paths(treeOf(merged)));
  });

  it("takes the place of a link that it has an entry of, or that leads nowhere", () => {
    expect(paths(treeOf([entry("a/f"), link("l", "a")], [entry("l", "5"), entry("l/g")]))).toEqual([
      "d a",
      "f a/f",
      "d l",
      "f l/g",
    ]);
    for (const target of ["none", "l", "/etc/passwd", "f"]) {
      expect(paths(treeOf([entry("f"), link("l", target)], [entry("l/g")]))).toEqual(["f f", "d l", "f l/g"]);
    }
    // `..` of the root is the root.
    expect(paths(treeOf([entry("a/f"), link("l", "../../../a")], [entry("l/g")]))).toEqual([
      "d a",
      "f a/f",
      "f a/g",
      "s l",
    ]);
  });

  it("has links to files of those below, and names from the root", () => {
    const tree = treeOf([entry("a/f", "0", { size: 3 })], [entry("/b", "1", { link: "/a/f" }), entry("/a/g")]);
    expect(at(tree, "b")).toBe(at(tree, "a/f"));
    expect(paths(tree)).toEqual(["d a", "f a/f", "f a/g", "f b"]);
  });

  it("has no link to what is in none of them, nor names that lead out", () => {
    for (const bad of [entry("b", "1", { link: "none" }), entry("/../b"), entry("b", "1", { link: "/../a/f" })]) {
      expect(() => treeOf([entry("a/f")], [bad])).toThrow(expect.objectContaining({ code: "file/bad-archive" }));
    }
  });

  it("is counted with those below", () => {
    const many = (prefix: string) => Array.from({ length: 600 }, (_, n) => entry(`${prefix}${n}`));
    expect(() => treeOf(many("a"))).not.toThrow();
    expect(() => treeOf(many("a"), many("b"))).toThrow(expect.objectContaining({ code: "layer/too-large" }));
  });
});

describe("a directory that has to be there", () => {
  it.each([
    ["/srv/app", ["d srv", "d srv/app"]],
    ["/", []],
  ])("%s", (path, expected) => {
    const root = treeOf([]);
    ensureDirectory(root, path);
    expect(paths(root)).toEqual(expected);
  });

  it("is made where links lead to none, and not where something else is", () => {
    const layer = [entry("f"), link("l", "/d"), entry("d", "5")];
    for (const path of ["/l", "/f/g", "/../x", "/d"]) {
      const root = treeOf(layer);
      ensureDirectory(root, path);
      expect(paths(root)).toEqual(path === "/../x" ? [...paths(treeOf(layer))] : paths(treeOf(layer)));
    }
  });
});
