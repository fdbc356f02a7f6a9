import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { attachTests } from "./agent/attach.ts";
import { commandTests } from "./agent/commands.ts";
import { controlTests } from "./agent/control.ts";
import { dialTests } from "./agent/dial.ts";
import type { AgentSubject } from "./agent/harness.ts";
import { AgentHarness } from "./agent/harness.ts";
import { limitTests } from "./agent/limits.ts";
import { protocolTests } from "./agent/protocol.ts";
import { readTests } from "./agent/read.ts";
import { streamTests } from "./agent/streams.ts";

export interface AgentSuiteOptions {
  /** Names of tests that this agent cannot pass, each with the reason. */
  readonly skip: Readonly<Record<string, string>>;
}

const GROUPS = {
  commands: commandTests,
  streams: streamTests,
  attach: attachTests,
  read: readTests,
  limits: limitTests,
  control: controlTests,
  dial: dialTests,
  protocol: protocolTests,
};

/** What docs/protocol.md asks of an agent, of whatever it is made. `start` gives a fresh one to each test. */
export function describeAgent(name: string, start: () => Promise<AgentSubject>, { skip }: AgentSuiteOptions): void {
  describe(name, () => {
    let harness: AgentHarness;
    beforeEach(async () => {
      harness = new AgentHarness(await start());
    });
    afterEach(() => harness[Symbol.asyncDispose]());

    for (const [group, tests] of Object.entries(GROUPS)) {
      describe(group, () => {
        for (const [title, run] of Object.entries(tests)) {
          test(title, async (context) => {
            if (skip[title] !== undefined) context.skip(skip[title]);
            await run(harness);
          });
        }
      });
    }

    test("skips only tests that exist, each for a reason", () => {
      const titles = Object.values(GROUPS).flatMap((tests) => Object.keys(tests));
      expect(titles).toEqual(expect.arrayContaining(Object.keys(skip)));
      for (const reason of Object.values(skip)) expect(reason).toMatch(/\w{2,} \w{2,}/);
      expect(new Set(titles).size).toBe(titles.length);
    });
  });
}
