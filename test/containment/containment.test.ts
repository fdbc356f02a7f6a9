import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestDaemon } from "../support/test-daemon.ts";
import { AWAITING_SECCOMP } from "./awaiting-seccomp.ts";
import { Ground } from "./ground.ts";
import { CATALOGUE } from "./probes/catalogue.ts";
import { countOf, printed, scorecard } from "./scorecard.ts";
import type { Outcome } from "./suite.ts";
import { runSuite } from "./suite.ts";
import { SdkTarget } from "./targets/sdk-target.ts";

/** The bar, of probes whose control works on the machine that runs them. */
const LEAST_PROBES = 80;
const SCORECARD = fileURLToPath(new URL("../../docs/scorecard.md", import.meta.url));
const PROBES = CATALOGUE.flatMap(({ probes }) => probes);

const NAME = "native";
const outcomes = new Map<string, Outcome>();
const VARIABLE = "PLYBOX_PROBE";

beforeAll(async () => {
  await using ground = await Ground.make();
  process.env[VARIABLE] = ground.environment; // The launcher inherits it, as it would any secret of the daemon's.
  try {
    await using daemon = new TestDaemon({ PLYBOX_LISTEN: "127.0.0.1:0" });
    await daemon.start();
    const { socket, stateDir, runDir, tokenFile: token } = daemon.config;
    await using target = await SdkTarget.create(NAME, daemon.client, { socket, stateDir, runDir, token });
    for (const outcome of await runSuite(ground, target, PROBES)) outcomes.set(outcome.probe.name, outcome);
  } finally {
    delete process.env[VARIABLE];
  }
  // Failures too: what fails below is told by it.
  if (process.env.PLYBOX_SCORECARD === "write") writeFileSync(SCORECARD, scorecard(NAME, [...outcomes.values()]));
});

afterAll(() => {
  process.stdout.write(`${printed(NAME, [...outcomes.values()])}\n`);
});

describe.each(CATALOGUE.map(({ title, probes }) => [title, probes] as const))("%s", (_, probes) => {
  it.each(probes.map(({ name, tries }) => [name, tries]))("%s: %s", (name) => {
    const outcome = outcomes.get(name);
    const expected = AWAITING_SECCOMP.includes(name) ? "open" : "contained";
    expect(outcome?.control).not.toMatchObject({ kind: "broken" });
    expect(outcome?.inside).toMatchObject({ kind: expected });
  });
});

describe("the suite", () => {
  it("gives each probe a name of its own", () => {
    expect(PROBES.map(({ name }) => name).filter((name, index, all) => all.indexOf(name) !== index)).toEqual([]);
  });

  it("has enough probes whose control works on this machine", () => {
    const counts = countOf([...outcomes.values()]);
    expect(PROBES.length - counts["no control"]).toBeGreaterThanOrEqual(LEAST_PROBES);
  });

  it("waits for no probe that there is not", () => {
    const names = PROBES.map(({ name }) => name);
    expect(AWAITING_SECCOMP.filter((name) => !names.includes(name))).toEqual([]);
  });

  it("has the probes that docs/scorecard.md tells of; npm run scorecard writes it anew", () => {
    const told = [...readFileSync(SCORECARD, "utf8").matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, name]) => name);
    expect(told).toEqual(PROBES.map(({ name }) => name));
  });
});
