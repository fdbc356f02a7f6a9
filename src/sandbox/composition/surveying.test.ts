import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TemporaryPlies } from "../../../test/support/plies.ts";
import { Stack, walk } from "../../snapshots/plies/stack.ts";
import { TreeProgram } from "../../snapshots/plies/tree-program.ts";
import { surveyLayer } from "./surveying.ts";

let plies: TemporaryPlies;
beforeAll(() => {
  plies = new TemporaryPlies();
});
afterAll(() => plies[Symbol.dispose]());

const PLIES = ["below", "layer", "above", "upper"] as const;
const CASES = 150;

/** Plies with the same few names in them: files, directories, whiteouts, opaque directories. */
const SCRIPT = `import random
random.seed(7)
def grow(path, depth, density):
  for name in "abc":
    if random.random() > density: continue
    child, what = os.path.join(path, name), random.random()
    if what < 0.2: put(child, name)
    elif what < 0.3: whiteout(child)
    else:
      os.mkdir(child)
      if random.random() < 0.1: opaque(child)
      if depth < 3: grow(child, depth + 1, density)
for case in range(${CASES}):
  for ply in ${JSON.stringify(PLIES)}:
    os.makedirs(f"{case}/{ply}")
    grow(f"{case}/{ply}", 1, {"below": 0.6, "layer": 0.35}.get(ply, 0.25))`;

/** Plies that scripts make, of which one that is not given is empty. */
function placeOf(name: string, scripts: Partial<Record<(typeof PLIES)[number], string>>) {
  const lines = PLIES.flatMap((ply) => [
    `os.makedirs("${ply}"); os.chdir("${ply}")`,
    scripts[ply] ?? "",
    'os.chdir("..")',
  ]);
  const path = (ply: string): string => join(plies.path(name), ply);
  plies.make(name, lines.join("\n"));
  return {
    ...{ below: [path("below")], layer: path("layer"), above: [path("above")], upper: path("upper") },
    covered: ["/proc"],
  };
}

/** What a stack shows: of a file, which one. */
async function shown(program: TreeProgram, paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  for await (const { node, isLeaving } of walk(await Stack.open(program, paths))) {
    const { kind, inode } = node.entry;
    if (!isLeaving && kind !== "whiteout") names.set(node.path, kind === "directory" ? kind : inode);
  }
  return names;
}

it("finds what makes a sandbox show all that it would show had it been made on the layer, or says what is in the way", async () => {
  const root = plies.make("cases", SCRIPT);
  const seen = { points: 0, none: 0, obstacle: 0 };
  await using program = new TreeProgram();
  for (let i = 0; i < CASES; i++) {
    const [below, layer, above, upper] = PLIES.map((ply) => join(root, String(i), ply)) as [
      string,
      string,
      string,
      string,
    ];
    const survey = await surveyLayer({ below: [below], layer, above: [above], upper, covered: [] });
    if ("obstacle" in survey) {
      seen.obstacle++;
      continue;
    }
    seen[survey.points.length > 0 ? "points" : "none"]++;
    const expected = new Map(await shown(program, [below, above, upper]));
    for (const [path, what] of await shown(program, [layer])) {
      if (survey.points.some((point) => `/${path}` === point || `/${path}`.startsWith(`${point}/`))) {
        expect(expected.has(path)).toBe(false);
        expected.set(path, what);
      }
    }
    expect([i, new Map([...expected].sort())]).toEqual([
      i,
      new Map([...(await shown(program, [below, layer, above, upper]))].sort()),
    ]);
  }
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
});

it.each([
  [
    "a directory that no layer has, of which overlayfs would note no removal",
    { upper: 'os.mkdir("a")', layer: 'put("a/b")' },
    '"/a"',
  ],
  ["a file of the same kind", { upper: 'put("a")', layer: 'put("a")' }, '"/a"'],
  ["a directory of another mode", { below: 'os.mkdir("a", 0o700)', layer: 'os.mkdir("a", 0o755)' }, '"/a"'],
  ["a file where something is to be mounted", { below: 'os.mkdir("proc")', layer: 'put("proc")' }, '"/proc"'],
  ["a name that is no text", { layer: 'os.mkdir(b"\\xff")' }, '"/\ufffd"'],
] as const)("names what is in the way: %s", async (what, scripts, obstacle) => {
  expect(await surveyLayer(placeOf(what.replaceAll(" ", "-"), scripts))).toEqual({ obstacle });
});

it("passes over what is hidden: by the upper, by a layer above, by a mount", async () => {
  const place = placeOf("hidden", {
    below: 'put("a/gone"); put("b/x"); os.mkdir("proc")',
    layer: 'put("a/gone", "other"); put("b/y"); put("proc/z"); os.mkdir("new")',
    above: 'opaque("b")',
    upper: 'whiteout("a/gone")',
  });
  expect(await surveyLayer(place)).toEqual({ points: ["/new"] });
});
