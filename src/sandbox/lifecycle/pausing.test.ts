import { expect, it } from "vitest";
import { sandboxRecord } from "../../../test/support/sandbox-record.ts";
import { LiveSandbox } from "../live-sandbox.ts";
import type { LifecycleContext } from "./context.ts";
import { pauseSandbox } from "./pausing.ts";

it("is refused where the machine has no freezer, and changes nothing", async () => {
  const state = { kind: "running", pid: 7, startTime: 1 } as const;
  const live = new LiveSandbox(sandboxRecord({ state }));
  const context = { backend: { capabilities: { pause: false } } } as LifecycleContext;
  await expect(pauseSandbox(context, live)).rejects.toMatchObject({ code: "host/missing" });
  expect(live.sandbox.state).toBe(state);
});
