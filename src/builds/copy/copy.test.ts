import { describe, expect, it } from "vitest";
import type { Node } from "../../layers/tar/layer-tree.ts";
import { directory } from "../../layers/tar/layer-tree.ts";
import { owned } from "./copied.ts";
import { findSources } from "./find-sources.ts";
import { globPattern } from "./glob.ts";
import { parseMode, parseOwner } from "./owner.ts";
import { place } from "./place.ts";

const file = (fields: Partial<Node> = {}): Node => ({ ...directory(), type: "file", isImplied: false, ...fields });
const link = (target: string): Node => file({ type: "symlink", link: target });
const folder = (children: Readonly<Record<string, Node>>): Node => ({
  ...{ ...directory(), isImplied: false },
  children: new Map(Object.entries(children)),
});

/** What has an entry of its own, by its path from the root on. */
function entriesOf(root: Node, prefix = ""): readonly string[] {
  return [...root.children].flatMap(([name, node]) => [
    ...(node.isImplied ? [] : [`${prefix}/${name}`]),
    ...entriesOf(node, `${prefix}/${name}`),
  ]);
}

describe("sources in a context", () => {
  const deep = file();
  const root = folder({
    ...{ "a.txt": file(), "b.txt": file(), ".c.txt": file(), d: folder({ deep, up: link("../a.txt") }) },
    ...{ in: link("d/deep"), dir: link("./d"), loop: link("loop"), out: link("/etc/passwd"), above: link("../x") },
    gone: link("nothing"),
  });
  const names = (source: string) => findSources(root, source, 1).map(({ name }) => name);

  it.each([
    ["a.txt", ["a.txt"]],
    ["/a.txt", ["a.txt"]],
    ["./d/../a.txt", ["a.txt"]],
    ["*.txt", [".c.txt", "a.txt", "b.txt"]],
    ["[^a].txt", ["b.txt"]],
    ["d/*", ["deep", "up"]],
    ["in", ["in"]],
    ["dir/deep", ["deep"]],
  ])("%s", (source, expected) => {
    expect(names(source)).toEqual(expected);
  });

  it("are what links lead to, and for a directory its content", () => {
    expect(findSources(root, "in", 1)[0]?.node).toBe(deep);
    expect(findSources(root, "d/up", 1)[0]?.node).toBe(root.children.get("a.txt"));
    expect(findSources(root, ".", 1)).toEqual([{ name: "", node: root }]);
  });

  it.each(["../a", "d/../../a", "missing", "*.none", "a.txt/b", "out", "above", "loop", "gone", "[a"])(
    "%s is refused",
    (source) => {
      expect(() => findSources(root, source, 7)).toThrow(expect.objectContaining({ code: "build/invalid", line: 7 }));
    },
  );
});

describe("a pattern", () => {
  it.each([
    ["*.c", "a.c", true],
    ["*.c", "a.cc", false],
    ["a?c", "abc", true],
    ["[a-c]x", "bx", true],
    ["[^a-c]x", "bx", false],
    ["\\*", "*", true],
    ["\\*", "a", false],
    ["a.b", "axb", false],
    ["a+(b)", "a+(b)", true],
  ])("%s and %s", (pattern, name, expected) => {
    expect(globPattern(pattern, 1)(name)).toBe(expected);
  });
});

describe("where copies go", () => {
  /** Directories, files and links to directories of the file system that is copied to. */
  const there: Readonly<Record<string, readonly [type: string, path: string]>> = {
    "/": ["directory", "/"],
    "/usr": ["directory", "/usr"],
    "/usr/lib": ["directory", "/usr/lib"],
    "/lib": ["directory", "/usr/lib"],
    "/file": ["file", "/file"],
  };
  const destination = {
    async status(path: string) {
      const [type, resolved] = there[path] ?? [];
      return type === undefined || resolved === undefined ? undefined : { type, path: resolved };
    },
  };
  const tree = folder({ lib: folder({ new: file() }), more: folder({ x: file() }) });
  const placed = async (node: Node, path: string, isDirectory = false) =>
    entriesOf(await place({ name: "name", node }, { path, isDirectory, line: 3 }, destination));

  /** What is copied, to where (a directory by its last `/`), and what then is where. */
  it.each([
    ["a file by its new name", file(), "/new", ["/new"]],
    ["a file in place of another", file(), "/file", ["/file"]],
    ["a file into a directory that is there", file(), "/usr", ["/usr/name"]],
    ["a file into one that is not", file(), "/made/", ["/made/name"]],
    ["a file through a link", file(), "/lib/a", ["/usr/lib/a"]],
    ["a directory that is made", tree, "/made", ["/made", "/made/lib", "/made/lib/new", "/made/more", "/made/more/x"]],
    ["a directory's content into one that is there", tree, "/", ["/usr/lib/new", "/more", "/more/x"]],
  ])("%s", async (_, node, path, expected) => {
    expect(await placed(node, path, path.endsWith("/"))).toEqual(expected);
  });

  it.each([
    ["a directory onto a file", tree, "/file", false],
    ["a file below a file", file(), "/file", true],
    ["a directory in it onto a file", folder({ file: folder({}) }), "/", false],
  ])("%s is refused", async (_, node, path, isDirectory) => {
    await expect(placed(node, path, isDirectory)).rejects.toMatchObject({ code: "build/invalid", line: 3 });
  });
});

describe("owners", () => {
  const accounts = {
    passwd: async () => "root:x:0:0::/:/bin/sh\napp:x:1000:2000::/:/bin/sh\n",
    group: async () => "root:x:0:\nwheel:x:10:app\n",
  };

  it.each([
    ["5", { uid: 5, gid: 5 }],
    ["5:6", { uid: 5, gid: 6 }],
    ["app", { uid: 1000, gid: 2000 }],
    ["app:wheel", { uid: 1000, gid: 10 }],
    ["5:wheel", { uid: 5, gid: 10 }],
  ])("%s", async (text, expected) => {
    expect(await parseOwner(text, accounts, 1)).toEqual(expected);
  });

  it.each(["", ":5", "none", "app:none", "65536", "1:2:3"])("%j is refused", async (text) => {
    await expect(parseOwner(text, accounts, 9)).rejects.toMatchObject({ code: "build/invalid", line: 9 });
  });

  it("and modes are of all that is copied but of links, and of a file with two names once", () => {
    const twice = file({ mode: 0o644 });
    const result = owned(folder({ a: twice, b: twice, l: link("a") }), { owner: { uid: 1, gid: 2 }, mode: 0o750 });
    expect(result).toMatchObject({ uid: 1, gid: 2, mode: 0o750 });
    expect(result.children.get("a")).toBe(result.children.get("b"));
    expect(result.children.get("a")).toMatchObject({ uid: 1, mode: 0o750 });
    expect(result.children.get("l")).toMatchObject({ uid: 1, mode: 0o755 });
    expect(twice.uid).toBe(0);
    expect([parseMode("755", 1), parseMode("4755", 1)]).toEqual([0o755, 0o4755]);
    expect(() => parseMode("u+x", 1)).toThrow(expect.objectContaining({ code: "build/unsupported" }));
    expect(() => parseMode("999", 1)).toThrow(expect.objectContaining({ code: "build/invalid" }));
  });
});
