import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ExecutionRequest } from "../../src/model/execution.ts";
import { execute } from "../../src/wire/execute.ts";
import { startAgentGuest } from "../support/agent-guest.ts";
import type { Guest } from "../support/guest.ts";
import { GUEST_HANG_MS } from "../support/guest.ts";

let guest: Guest;
beforeAll(async () => {
  guest = await startAgentGuest();
}, GUEST_HANG_MS);
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  expect(existsSync(guest.directory)).toBe(false);
});

const script = (source: string, rest: Partial<ExecutionRequest> = {}): ExecutionRequest => ({
  source,
  sourceName: "main.sh",
  run: ["/bin/sh", "main.sh"],
  // The whole machine is emulated.
  wallMs: 600_000,
  ...rest,
});

it("the agent is process 1 of the guest and gives a verdict over AF_VSOCK", async () => {
  const source = "tr '\\0' ' ' </proc/1/cmdline; cat; echo err >&2";
  const result = await execute(await guest.connect(), script(source, { stdin: "in\n" }));
  expect(result, guest.console).toMatchObject({ result: "success", code: 0, signal: null, limit: null });
  expect(Buffer.from(result.stdout.bytes).toString()).toBe("/plyagent --single --vsock-port 5000 in\n");
  expect(Buffer.from(result.stderr.bytes).toString()).toBe("err\n");
});

it("a timeout in the guest ends all that was started, and what waits beside the agent goes on", async () => {
  const source = "setsid sleep 100000 & sleep 100000";
  const result = await execute(await guest.connect(), script(source, { wallMs: 300 }));
  expect(result, guest.console).toMatchObject({ result: "timeout", limit: "wall", signal: "SIGKILL" });
});

it("another execution follows on a connection of its own", async () => {
  const result = await execute(await guest.connect(), script("ps -o comm,args; exit 7"));
  expect(result, guest.console).toMatchObject({ result: "runtime_error", code: 7 });
  const processes = Buffer.from(result.stdout.bytes).toString();
  expect(processes).toContain("/guest-bridge");
  expect(processes).not.toContain("sleep");
});
