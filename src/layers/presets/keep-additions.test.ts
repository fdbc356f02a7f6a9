import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Node } from "../tar/layer-tree.ts";
import { isWhiteout, LayerTree } from "../tar/layer-tree.ts";
import { readTar } from "../tar/tar-reader.ts";
import { TreeMeter } from "../tar/tree-meter.ts";
import { keepAdditions } from "./keep-additions.ts";

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "plybox-additions-"));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const BASE = `mkdir -p etc usr/bin dev; echo one > etc/one; echo two > etc/two; printf 'odd' > "$(printf 'etc/\\\\377')"
  ln -s one etc/link; mkfifo dev/pipe; mknod dev/null c 1 3; mknod dev/disk b 7 300; echo tool > usr/bin/tool; chmod 755 usr/bin/tool`;

/** What is left of a system that `change` made of the base, with `w` for what it removes. */
async function additions(name: string, change: string): Promise<readonly string[]> {
  const [below, above] = [join(work, name, "below"), join(work, name, "above")];
  for (const tree of [below, above]) {
    mkdirSync(tree, { recursive: true });
    execFileSync("bash", ["-ec", BASE], { cwd: tree });
  }
  execFileSync("bash", ["-ec", change], { cwd: above });
  const archive = join(work, name, "above.tar");
  execFileSync("tar", ["-C", above, "--numeric-owner", "-cf", archive, "."]);
  const file = await open(archive, "r");
  try {
    const tree = new LayerTree(new TreeMeter({ inodes: 100, unpackedBytes: 10 ** 7 }));
    for await (const entry of readTar(file, (await file.stat()).size)) tree.add(entry);
    await keepAdditions(tree.root, file, Buffer.from(below));
    return listing(tree.root, "").sort();
  } finally {
    await file.close();
  }
}

const listing = (node: Node, path: string): string[] =>
  [...node.children].flatMap(([name, child]) => [
    `${isWhiteout(child) ? "w" : child.type[0]} ${path}${name}`,
    ...listing(child, `${path}${name}/`),
  ]);

describe("what a system has beside another", () => {
  it.each<[string, string, readonly string[]]>([
    ["nothing", "true", []],
    ["times alone", "touch etc/one usr/bin dev", []],
    [
      "files",
      "echo new > etc/new; mkdir -p opt/a; echo b > opt/a/b",
      ["d etc", "d opt", "d opt/a", "f etc/new", "f opt/a/b"],
    ],
    ["other bytes of one length", "echo ONE > etc/one", ["d etc", "f etc/one"]],
    ["a large file that ends otherwise", "head -c 3000000 /dev/zero > big; echo x >> big", ["f big"]],
    [
      "modes and owners",
      "chmod 700 usr/bin/tool; chown 7:8 dev/pipe; chmod 711 etc",
      ["d dev", "d etc", "d usr", "d usr/bin", "f dev/pipe", "f usr/bin/tool"],
    ],
    [
      "other targets and devices",
      "ln -sf two etc/link; rm dev/null dev/disk; mknod dev/null c 1 5; mknod dev/disk b 7 301",
      ["b dev/disk", "c dev/null", "d dev", "d etc", "s etc/link"],
    ],
    ["removals", "rm etc/two etc/link; rm -r usr", ["d etc", "w etc/link", "w etc/two", "w usr"]],
    ["other kinds", "rm etc/one; mkdir etc/one; rm -r usr; ln -s etc usr", ["d etc", "d etc/one", "s usr"]],
    ["names that are no text", "echo x > \"$(printf 'etc/\\377')\"", ["d etc", "f etc/\u00ff"]],
  ])("is %s", async (name, change, expected) => {
    expect(await additions(name, change)).toEqual(expected);
  });
});
