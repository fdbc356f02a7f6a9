import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TemporaryPlies } from "../../../test/support/plies.ts";
import { diffPlies } from "./diff.ts";
import type { MergeConflict, MergeOptions } from "./merge.ts";
import { applyMerge, prepareMerge } from "./merge-journal.ts";
import type { MergeReport } from "./merge-report.ts";

const BASE = `put("a", "a"); put("d/one", "1"); put("d/two", "2"); put("gone/x", "x"); put("same", "s")
put("replaced", "r"); os.symlink("a", "link"); os.mkdir("empty")`;

let plies: TemporaryPlies;
let base: string;
beforeEach(() => {
  plies = new TemporaryPlies();
  base = plies.make("base", BASE);
});
afterEach(() => plies[Symbol.dispose]());

interface Merged extends Pick<MergeReport, "conflicts" | "conflictCount" | "changes" | "steps"> {
  readonly isReady: boolean;
  /** Mounts of the plies of ours afterwards, the lowest first. */
  readonly stack: readonly string[];
}

const journal = () => plies.path("journal");

const apply = (ours: string, theirs: string) =>
  applyMerge({
    ...{ journal: journal(), theirs: [base, theirs] },
    ours: { layers: [base], changes: { upper: ours, work: plies.path("work") } },
  });

/** Merges what the script of theirs does into what that of ours does, each to plies in overlayfs's format. */
async function merge(ours: string, theirs: string, options: Partial<MergeOptions> = {}): Promise<Merged> {
  const [one, other] = [plies.make("ours", ours), plies.make("theirs", theirs)];
  mkdirSync(plies.path("work"));
  const stacks = { base: [base], ours: [base, one], theirs: [base, other] };
  const { isReady, report } = await prepareMerge({ ...stacks, journal: journal(), prefer: "refuse", ...options });
  if (isReady) await apply(one, other);
  expect(existsSync(journal())).toBe(false);
  const { conflicts, conflictCount, changes, steps } = report;
  return { isReady, conflicts, conflictCount, changes, steps, stack: [base, one] };
}

const show = (stack: readonly string[]) => {
  const path = plies.show("shown", stack);
  return (name: string) => (existsSync(`${path}/${name}`) ? readFileSync(`${path}/${name}`, "utf8") : undefined);
};

const told = (conflicts: readonly MergeConflict[]) => conflicts.map(({ reason, path }) => `${reason} ${path}`);

/** By name: what ours does, what theirs does, why that cannot both stay, and where. */
const CONFLICTS = [
  ["bytes", 'put("file", "1")', 'put("file", "2")', "both-changed", "file"],
  ["modes", 'os.mkdir("d", 0o700)', 'os.mkdir("d", 0o750)', "both-changed", "d"],
  ["new", 'put("new", "1")', 'put("new", "2")', "both-added", "new"],
  ["types", 'os.mkdir("file")', 'os.symlink("a", "file")', "both-replaced", "file"],
  ["removed", 'whiteout("file")', 'put("file", "2")', "ours-removed", "file"],
  ["kept", 'put("file", "1")', 'whiteout("file")', "theirs-removed", "file"],
  ["removed-above", 'whiteout("d")', 'put("d/one", "2")', "ours-removed", "d"],
  ["kept-below", 'put("d/one", "1")', 'whiteout("d")', "theirs-removed", "d"],
  ["new-below", 'put("d/new", "1")', 'whiteout("d")', "theirs-removed", "d"],
  ["file-above", 'put("d", "file")', 'put("d/one", "2")', "both-replaced", "d"],
] as const;

const CASES = JSON.stringify(CONFLICTS.map(([name]) => name));

/** What differs between two trees, but for times. */
async function sameTrees(one: string, other: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { kind, path } of diffPlies({ before: [one], after: [other] })) found.push(`${kind} ${path}`);
  return found;
}

describe("a merge", () => {
  it("into what has not changed makes it what theirs is", async () => {
    const theirs = `put("a", "A"); whiteout("gone"); put("d/three", "3"); whiteout("d/one"); os.chmod("d", 0o700)
put("replaced/by/a directory", "x"); os.setxattr("replaced", "trusted.overlay.opaque", b"y"); os.symlink("d", "link")
os.mkfifo("pipe"); os.link("a", "twin"); socket.socket(socket.AF_UNIX).bind("socket"); put("empty", "file")
put("sparse"); os.truncate("sparse", 1 << 22); os.setxattr("a", "user.k", b"v"); os.chown("d/three", 3, 4)`;
    const { stack, conflictCount } = await merge("", theirs);
    expect(conflictCount).toBe(0);
    const shown = plies.show("shown", stack);
    expect(await sameTrees(shown, plies.show("expected", [base, plies.path("theirs")]))).toEqual([]);
    expect(lstatSync(`${shown}/a`).ino).toBe(lstatSync(`${shown}/twin`).ino);
    expect(lstatSync(`${shown}/sparse`).blocks).toBe(0);
  });

  it("of changes to different paths has both, and equal changes are no conflict", async () => {
    const { stack, conflicts } = await merge(
      'put("a", "ours"); whiteout("gone"); put("d/new", "n"); put("both", "b"); put("d/mine", "m")',
      'put("d/one", "theirs"); whiteout("gone"); put("both", "b"); whiteout("same"); put("d/theirs", "t")',
    );
    expect(conflicts).toEqual([]);
    const read = show(stack);
    expect(["a", "d/one", "d/two", "gone/x", "both", "same", "d/mine", "d/theirs"].map(read)).toEqual([
      "ours",
      "theirs",
      "2",
      undefined,
      "b",
      undefined,
      "m",
      "t",
    ]);
  });

  it("tells what cannot both stay, and takes the side that is preferred", async () => {
    base = plies.make("base", `for name in ${CASES}: put(f"{name}/file", "base"); put(f"{name}/d/one", "base")`);
    const [ours, theirs] = [1, 2].map((side) => CONFLICTS.map((row) => `os.chdir(top + "/${row[0]}"); ${row[side]}`));
    const scripts = [ours, theirs].map(
      (lines) => `top = os.getcwd()\nfor name in ${CASES}: os.mkdir(name)\n${lines?.join("\n")}\nos.chdir(top)`,
    );
    const expected = CONFLICTS.map(([name, , , reason, path]) => `${reason} ${name}/${path}`).sort();
    const sides = [plies.make("ours.side", scripts[0]), plies.make("theirs.side", scripts[1])].map((side, i) =>
      plies.show(`side.${i}`, [base, side]),
    );
    for (const prefer of ["refuse", "ours", "theirs"] as const) {
      const { stack, conflicts, isReady } = await merge(scripts[0] ?? "", `${scripts[1]}\nput("other", "o")`, {
        prefer,
      });
      expect(told(conflicts).sort()).toEqual(expected);
      expect(isReady).toBe(prefer !== "refuse");
      const shown = plies.show("shown", stack);
      expect(existsSync(`${shown}/other`)).toBe(isReady);
      rmSync(`${shown}/other`, { force: true });
      expect(await sameTrees(shown, sides[prefer === "theirs" ? 1 : 0] ?? "")).toEqual([]);
      for (const name of ["ours", "theirs", "work", "shown", "shown.merged"])
        rmSync(plies.path(name), { recursive: true, force: true });
    }
  });

  it("takes the paths alone that are selected, with the directories that they are in", async () => {
    const theirs =
      'put("a", "A"); put("new/deep/x.ts", "x"); put("new/deep/y.js", "y"); put("d/one", "I"); whiteout("gone/x")';
    const { stack } = await merge("", theirs, { select: ["**/*.ts", "d", "/gone/"] });
    expect(["a", "new/deep/x.ts", "new/deep/y.js", "d/one", "gone/x"].map(show(stack))).toEqual([
      "a",
      "x",
      undefined,
      "I",
      undefined,
    ]);
  });

  it("links what theirs linked to a file of both", async () => {
    const { stack } = await merge('put("d/mine", "m")', 'put("same", "s"); os.link("same", "b"); os.link("same", "z")');
    const shown = plies.show("shown", stack);
    const inodes = ["same", "b", "z"].map((name) => lstatSync(`${shown}/${name}`).ino);
    expect(new Set(inodes).size).toBe(1);
  });

  it("that ended half-way is completed by doing it again", async () => {
    const theirs =
      'put("a", "A"); whiteout("gone"); put("n/x", "x"); put("n/y", "y"); os.link("a", "n/a"); put("empty", "e")';
    const [one, other] = [plies.make("ours", 'put("d/mine", "m")'), plies.make("theirs", theirs)];
    mkdirSync(plies.path("work"));
    const stacks = { base: [base], ours: [base, one], theirs: [base, other] };
    const { report } = await prepareMerge({ ...stacks, journal: journal(), prefer: "refuse" });
    const whole = readFileSync(journal(), "utf8");
    const lines = whole.trimEnd().split("\n");
    expect(lines).toHaveLength(report.steps);
    // A journal of the first steps stands for an end after them.
    for (let done = 0; done < lines.length; done++) {
      replaceJournal(lines.slice(0, done));
      await apply(one, other);
    }
    replaceJournal(lines);
    await apply(one, other);
    const read = show(stacks.ours);
    expect(["a", "gone/x", "n/x", "n/y", "n/a", "empty", "d/mine"].map(read)).toEqual([
      "A",
      undefined,
      "x",
      "y",
      "A",
      "e",
      "m",
    ]);
  });

  it("tells each path once that it writes or removes, and what each side did where they meet", async () => {
    const theirs = `put("new/deep/x", "x"); put("d/one", "I"); os.chmod("d", 0o700); whiteout("gone"); put("a", "A")
os.link("a", "b"); os.mkdir("same.d"); whiteout("same")`;
    const ours = 'put("a", "O"); put("same", "t"); put("gone/y", "y")';
    const { changes, conflicts } = await merge(ours, theirs, { prefer: "ours" });
    expect(changes.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      "written b",
      "written d/one",
      "written d",
      "written new",
      "written new/deep",
      "written new/deep/x",
      "written same.d",
    ]);
    expect(conflicts.map(({ path, ours, theirs }) => `${path}: ${ours}, ${theirs}`)).toEqual([
      "a: changed, changed",
      "gone: changed, removed",
      "same: changed, removed",
    ]);
  });

  it("of nothing is nothing to do", async () => {
    expect(await merge('put("a", "1")', 'put("same", "s")')).toMatchObject({
      isReady: false,
      steps: 0,
      conflictCount: 0,
    });
  });
});

function replaceJournal(lines: readonly string[]): void {
  writeFileSync(journal(), lines.map((line) => `${line}\n`).join(""));
}
