import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TemporaryPlies } from "../../../test/support/plies.ts";
import { diffPlies } from "./diff.ts";
import { textDiff, textDiffPlies } from "./text-diff.ts";

let plies: TemporaryPlies;
beforeEach(() => {
  plies = new TemporaryPlies();
});
afterEach(() => plies[Symbol.dispose]());

const BASE = `
put("a/one", "1"); put("a/two", "2"); put("b/deep/file", "x"); put("c", "c"); put("same", "same"); put("a-b")
os.symlink("one", "link"); os.mkfifo("pipe"); put("sparse"); os.truncate("sparse", 1 << 40)
`;

async function diff(before: readonly string[], after: readonly string[], withTimes = false): Promise<string[]> {
  const told: string[] = [];
  for await (const change of diffPlies({ before, after, withTimes })) {
    told.push(`${change.kind} ${change.path}${change.kind === "changed" ? ` ${change.aspects}` : ""}`);
  }
  return told;
}

describe("the diff of two stacks of plies", () => {
  it("tells what was added, changed and removed, in the order of the paths, and in what", async () => {
    const base = plies.make("base", BASE);
    const upper = plies.make(
      "upper",
      `put("a/one", "I"); put("a/three"); whiteout("b"); put("c", "c", 0o600); os.chown("c", 1, 0)
os.symlink("two", "link"); whiteout("pipe"); os.mknod("a-b", 0o020600, os.makedev(1, 3)); os.setxattr("a", "user.x", b"1")`,
    );
    expect(await diff([base], [base, upper])).toEqual([
      "changed a attributes",
      "changed a/one content",
      "added a/three",
      "type-changed a-b",
      "removed b",
      "removed b/deep",
      "removed b/deep/file",
      "changed c mode,owner",
      "changed link target",
      "removed pipe",
    ]);
    expect(await diff([base, upper], [base])).toContain("added b/deep/file");
    expect(await diff([base, upper], [base, upper])).toEqual([]);
  });

  it("of directories that were made anew tells what they do not show any more", async () => {
    const base = plies.make("base", BASE);
    const upper = plies.make("upper", 'opaque("a"); put("a/two", "2"); put("b", "now a file"); whiteout("c")');
    const again = plies.make("again", 'os.mkdir("b"); os.mkdir("c")');
    expect(await diff([base], [base, upper, again])).toEqual([
      "removed a/one",
      "removed b/deep",
      "removed b/deep/file",
      "type-changed c",
    ]);
  });

  it("does not count what was written again as it was, nor times unless they are asked for", async () => {
    const base = plies.make("base", BASE);
    const upper = plies.make("upper", 'put("a/one", "1"); put("sparse"); os.truncate("sparse", 1 << 40); AT = (7, 7)');
    expect(await diff([base], [base, upper])).toEqual([]);
    expect(await diff([base], [base, upper], true)).toEqual([
      "changed  time",
      "changed a time",
      "changed a/one time",
      "changed sparse time",
    ]);
  });

  it("finds one byte that differs in a file that is nearly all holes, on whichever side", async () => {
    const base = plies.make("base", BASE);
    const upper = plies.make(
      "upper",
      'put("sparse"); os.truncate("sparse", 1 << 40); f = open("sparse", "r+b"); f.seek(1 << 39); f.write(b"x"); f.close()',
    );
    expect(await diff([base], [base, upper])).toEqual(["changed sparse content"]);
    expect(await diff([base, upper], [base])).toEqual(["changed sparse content"]);
  });

  it("keeps to the ply when a symlink leads out of it", async () => {
    const base = plies.make("base", 'os.mkdir("out"); put("out/passwd", "x")');
    const upper = plies.make("upper", 'os.symlink("/etc", "out")');
    expect(await diff([base], [base, upper])).toEqual(["type-changed out", "removed out/passwd"]);
  });

  it("reads a directory of many names and a deep one", async () => {
    const base = plies.make("base");
    const upper = plies.make(
      "upper",
      `os.mkdir("many")
for i in range(600): open("many/%0200d" % i, "w")
os.makedirs("/".join(["d"] * 150))`,
    );
    const told = await diff([base], [base, upper]);
    expect(told).toHaveLength(150 + 601);
    expect(told.at(-1)).toBe(`added many/${"599".padStart(200, "0")}`);
  });

  it("shows text as diff -u does, and says where there is none", async () => {
    const base = plies.make("base", 'put("text", "1\\n2\\n"); put("binary", "a\\0"); put("large", "x" * 5000)');
    const upper = plies.make(
      "upper",
      'put("text", "1\\nzwei\\n"); put("binary", "b\\0"); put("large", "y"); put("new", "é\\n")',
    );
    const shown: unknown[] = [];
    for await (const { before, after } of diffPlies({ before: [base], after: [base, upper] })) {
      shown.push(await textDiff(before, after, { mostBytes: 4096 }));
    }
    expect(shown).toEqual([
      { kind: "binary" },
      { kind: "too-large", mostBytes: 4096 },
      { kind: "text", unified: "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+é\n" },
      { kind: "text", unified: "--- a/text\n+++ b/text\n@@ -1,2 +1,2 @@\n 1\n-2\n+zwei\n" },
    ]);
    const of = (path: string, after: readonly string[]) => textDiffPlies({ before: [base], after, path });
    expect(await of("text", [base, upper])).toEqual(shown[3]);
    expect(await of("large", [base, plies.make("gone", 'whiteout("large")')])).toMatchObject({ kind: "text" });
    for (const path of ["nowhere", "text/below", "new/../text"]) {
      await expect(of(path, [base])).rejects.toMatchObject({ code: expect.stringMatching(/^file\//) });
    }
  });
});
