import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unifiedDiff } from "./unified-diff.ts";

const OPTIONS = { names: ["a/x", "b/x"], contextLines: 3 } as const;

let root: string;
beforeAll(() => {
  root = mkdtempSync("/tmp/plybox-diff-");
});
afterAll(() => rmSync(root, { recursive: true }));

/** What GNU diff says, but for its choice between edits of one length. */
const gnuDiff = (before: string, after: string): string => {
  writeFileSync(join(root, "a"), before);
  writeFileSync(join(root, "b"), after);
  return spawnSync("diff", ["-d", "-u", "--label", "a/x", "--label", "b/x", join(root, "a"), join(root, "b")], {
    encoding: "utf8",
  }).stdout;
};

/** The text that a diff makes of another, by its own line numbers. */
function applied(before: string, diff: string): string {
  const lines = before.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const made: string[] = [];
  let at = 0;
  const told = diff.match(/[^\n]*\n/g)?.slice(2) ?? [];
  for (const [i, line] of told.entries()) {
    const [, start, count] = /^@@ -(\d+)(?:,(\d+))? /.exec(line) ?? [];
    if (start !== undefined) {
      const from = count === "0" ? Number(start) : Number(start) - 1;
      for (; at < from; at++) made.push(lines[at] ?? "");
    } else if (!line.startsWith("\\")) {
      if (!line.startsWith("+")) at++;
      if (!line.startsWith("-")) made.push(told[i + 1]?.startsWith("\\") ? line.slice(1, -1) : line.slice(1));
    }
  }
  return [...made, ...lines.slice(at)].join("");
}

const edits = (diff: string) => diff.split("\n").filter((line) => /^[-+](?!--|\+\+)/.test(line)).length;

describe("a unified diff", () => {
  it.each([
    ["one line of many", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n"],
    ["two places far from each other", "a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n"],
    ["two places close to each other", "a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n"],
    ["a file that was empty", "", "1\n2\n"],
    ["a file that became empty", "1\n", ""],
    ["a last line without its newline", "1\n2", "1\n2\n"],
    ["a last line that lost it", "1\n2\n", "1\n2"],
    ["lines that were added in front", "1\n2\n", "0\n1\n2\n"],
  ])("of %s is as diff -u has it", (_, before, after) => {
    expect(unifiedDiff(before, after, OPTIONS)).toBe(gnuDiff(before, after));
  });

  it("of a text and itself is nothing", () => {
    expect(unifiedDiff("1\n2", "1\n2", OPTIONS)).toBe("");
  });

  it("makes the one text of the other, by no more edits than there must be", () => {
    const text = fc.array(fc.constantFrom("a\n", "b\n", "c\n", "\n"), { maxLength: 30 }).map((lines) => lines.join(""));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const diff = unifiedDiff(before, after, OPTIONS);
        expect(applied(before, diff)).toBe(after);
      }),
    );
    const samples = fc.sample(fc.tuple(text, text), 20);
    for (const [before, after] of samples) {
      expect(edits(unifiedDiff(before, after, OPTIONS))).toBe(edits(gnuDiff(before, after)));
    }
  });

  it("of texts with nothing in common replaces the one by the other, however long they are", () => {
    const lines = (name: string) => Array.from({ length: 20_000 }, (_, i) => `${name} ${i}\n`).join("");
    const diff = unifiedDiff(lines("a"), lines("b"), OPTIONS);
    expect(edits(diff)).toBe(40_000);
    expect(applied(lines("a"), diff)).toBe(lines("b"));
  });
});
