import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXPECTED_OPEN, whyOpen } from "./expected-open.ts";
import { Ground } from "./ground.ts";
import { BY_CALL, CATALOGUE } from "./probes/catalogue.ts";
import type { Run } from "./scorecard.ts";
import { countOf, printed, scorecard } from "./scorecard.ts";
import { runSuite } from "./suite.ts";
import { startEscalating, startNative, startPermissive, startStrict } from "./targets/native.ts";
import { startRootless } from "./targets/rootless.ts";

/** Of those whose control works on the machine that runs them. */
const LEAST_PROBES = 80;
const SCORECARD = fileURLToPath(new URL("../../docs/scorecard.md", import.meta.url));
const PROBES = CATALOGUE.flatMap(({ probes }) => probes);
const NAMES = PROBES.map(({ name }) => name);
const IS_WRITTEN = process.env.PLYBOX_SCORECARD === "write";
/** Of other profiles of system calls those probes that begin with a call that one may refuse; for the scorecard all. */
const CALLS = IS_WRITTEN ? PROBES : BY_CALL.flatMap(({ probes }) => probes).filter(({ language }) => language === "C");
/** Of those whose control works. */
const LEAST_CALLS = 50;

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
  ["run by root", startNative, PROBES],
  ["run by root, with set-user-id programs", startEscalating, PROBES],
  ["run by root, under the strict profile", startStrict, CALLS],
  ["run by root, under the permissive profile", startPermissive, CALLS],
  ["run by a user without privileges", startRootless, PROBES],
])("the native backend %s", (_, start, tried) => {
  let run: Run;
  beforeAll(async () => {
    await using target = await start(ground.environment);
    run = { target: target.name, outcomes: await runSuite(ground, target, tried) };
    runs.push(run);
  });

  const groups = CATALOGUE.map(
    ({ title, probes }) => [title, probes.filter((probe) => tried.includes(probe))] as const,
  );
  describe.each(groups.filter(([, probes]) => probes.length > 0))("%s", (__, probes) => {
    it.each(probes.map(({ name, tries }) => [name, tries]))("%s: does not %s", (name) => {
      const outcome = run.outcomes.find(({ probe }) => probe.name === name);
      const expected = whyOpen(run.target, name) === undefined ? "contained" : "open";
      expect(outcome?.control).not.toMatchObject({ kind: "broken" });
      expect(outcome?.inside).toMatchObject({ kind: expected });
    });
  });

  it("was tried with enough probes whose control works", () => {
    expect(tried.length - countOf(run.outcomes)["no control"]).toBeGreaterThanOrEqual(
      tried === PROBES ? LEAST_PROBES : LEAST_CALLS,
    );
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
    if (IS_WRITTEN) writeFileSync(SCORECARD, scorecard(runs));
    const told = [...readFileSync(SCORECARD, "utf8").matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, name]) => name);
    expect(told).toEqual(NAMES);
  });
});
