import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXPECTED_OPEN, whyOpen } from "./expected-open.ts";
import { Ground } from "./ground.ts";
import { CATALOGUE } from "./probes/catalogue.ts";
import type { Run } from "./scorecard.ts";
import { countOf, printed, scorecard } from "./scorecard.ts";
import { runSuite } from "./suite.ts";
import { startEscalating, startNative } from "./targets/native.ts";
import { startRootless } from "./targets/rootless.ts";

/** Of those whose control works on the machine that runs them. */
const LEAST_PROBES = 80;
const SCORECARD = fileURLToPath(new URL("../../docs/scorecard.md", import.meta.url));
const PROBES = CATALOGUE.flatMap(({ probes }) => probes);
const NAMES = PROBES.map(({ name }) => name);

const runs: Run[] = [];
let ground: Ground;

beforeAll(async () => {
  ground = await Ground.make();
});
afterAll(async () => {
  for (const run of runs) process.stdout.write(`${printed(run)}\n`);
  await ground[Symbol.asyncDispose]();
});

describe.each([
  ["run by root", startNative],
  ["run by root, with set-user-id programs", startEscalating],
  ["run by a user without privileges", startRootless],
])("the native backend %s", (_, start) => {
  let run: Run;
  beforeAll(async () => {
    await using target = await start(ground.environment);
    run = { target: target.name, outcomes: await runSuite(ground, target, PROBES) };
    runs.push(run);
  });

  describe.each(CATALOGUE.map(({ title, probes }) => [title, probes] as const))("%s", (__, probes) => {
    it.each(probes.map(({ name, tries }) => [name, tries]))("%s: does not %s", (name) => {
      const outcome = run.outcomes.find(({ probe }) => probe.name === name);
      const expected = whyOpen(run.target, name) === undefined ? "contained" : "open";
      expect(outcome?.control).not.toMatchObject({ kind: "broken" });
      expect(outcome?.inside).toMatchObject({ kind: expected });
    });
  });

  it("was tried with enough probes whose control works", () => {
    expect(PROBES.length - countOf(run.outcomes)["no control"]).toBeGreaterThanOrEqual(LEAST_PROBES);
  });
});

describe("the suite", () => {
  it("gives each probe a name of its own", () => {
    expect(NAMES.filter((name, index) => NAMES.indexOf(name) !== index)).toEqual([]);
  });

  it("expects nothing of a probe, or of a target, that there is not", () => {
    const targets = runs.map(({ target }) => target);
    expect(
      EXPECTED_OPEN.filter(({ target, probes }) => {
        return !targets.includes(target) || probes.some((probe) => !NAMES.includes(probe));
      }),
    ).toEqual([]);
  });

  // Failures are written down too: the tests above tell of them.
  it("has the probes that docs/scorecard.md tells of; npm run scorecard writes it anew", () => {
    if (process.env.PLYBOX_SCORECARD === "write") writeFileSync(SCORECARD, scorecard(runs));
    const told = [...readFileSync(SCORECARD, "utf8").matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, name]) => name);
    expect(told).toEqual(NAMES);
  });
});
