import { expect } from "vitest";
import { PeerRefusal } from "../../../src/wire/peer-errors.ts";
import type { AgentTests } from "./harness.ts";
import { failureOf } from "./harness.ts";

/** What needs no server in the sandbox; the rest is in test/integration, where there are programs to serve. */
export const dialTests: AgentTests = {
  "a dial that leads nowhere is refused with the reason, and the link lives on": async (agent) => {
    const link = await agent.link();
    const nowhere = [
      [{ port: 1 }, "connection-refused"],
      [{ port: 1, host: "::1" }, "connection-refused"],
      [{ port: 1, host: "127.255.255.254" }, "connection-refused"],
      [{ port: 1, host: "192.0.2.1" }, "bad-address"],
      [{ port: 1, host: "localhost" }, "bad-address"],
      [{ port: 0 }, "bad-request"],
      [{ socket: "/no/such/socket" }, "no-such-file"],
      [{ socket: "/etc/passwd/x" }, "not-a-directory"],
      [{ socket: "/" }, "not-a-socket"],
      [{ socket: "/proc/self/fd/0" }, "too-many-links"],
      [{ socket: "relative" }, "bad-request"],
    ] as const;
    for (const [target, code] of nowhere) {
      const { cause } = await failureOf(link.dial(target));
      // The stream's error has the agent's refusal below its own.
      const refusal = (cause as Error).cause;
      expect([target, refusal instanceof PeerRefusal && refusal.code]).toEqual([target, code]);
    }
    expect(await link.list()).toEqual([]);
  },

  "ports come by number, each with its addresses": async (agent) => {
    const ports = await (await agent.link()).ports();
    expect(ports.map(({ port }) => port)).toEqual(ports.map(({ port }) => port).sort((a, b) => a - b));
    for (const { addresses } of ports) expect(addresses.length).toBeGreaterThan(0);
  },
};
