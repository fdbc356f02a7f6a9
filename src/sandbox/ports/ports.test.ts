import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { PlyboxError } from "../../model/errors.ts";
import type { ListeningPort } from "../../model/port.ts";
import type { AgentLink } from "../../wire/agent-link.ts";
import { Activity } from "../activity.ts";
import type { ActiveAgent, Agents } from "../agents.ts";
import { Ports } from "./ports.ts";

/** An agent that says what the test says; the real one is in test/integration. */
function portsOf(agent: Partial<Pick<AgentLink, "dial" | "ports">>) {
  const activity = new Activity();
  const active = { agent, activity } as unknown as ActiveAgent;
  const agents: Agents = { agent: async () => active, fileAgent: async () => active, announce() {} };
  return { ports: new Ports(agents), activity };
}

describe("a connection", () => {
  it("holds the sandbox's activity until it is closed", async () => {
    const stream = new PassThrough();
    const { ports, activity } = portsOf({ dial: async () => stream });
    await ports.dial("web", { port: 80 });
    expect(activity.idleMs).toBe(0);
    const closed = new Promise((resolve) => stream.on("close", resolve));
    stream.destroy();
    await closed;
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(activity.idleMs).toBeGreaterThan(0);
  });

  it.each([
    ["refused", () => Promise.reject(new PlyboxError("port/unreachable", "no"))],
    ["closed at once", async () => new PassThrough().destroy()],
  ])("that is %s holds nothing", async (_what, dial) => {
    const { ports, activity } = portsOf({ dial });
    await ports.dial("web", { port: 80 }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(activity.idleMs).toBeGreaterThan(0);
  });
});

describe("waitFor", () => {
  const listening = (...addresses: string[]): ListeningPort => ({ port: 80, addresses });

  it.each([["127.0.0.1"], ["0.0.0.0"], ["::"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.2", "127.1.2.3"]])(
    "is content with %s",
    async (...addresses) => {
      const { ports } = portsOf({ ports: async () => [listening(...addresses)] });
      await ports.waitFor("web", 80, { timeoutMs: 0 });
    },
  );

  it.each([["10.0.0.2"], ["fe80::1"], ["::ffff:10.0.0.2"], ["::12"]])("is not with %s", async (address) => {
    const { ports } = portsOf({ ports: async () => [listening(address)] });
    await expect(ports.waitFor("web", 80, { timeoutMs: 0 })).rejects.toMatchObject({ code: "port/not-ready" });
  });

  it("asks again until it is there", async () => {
    let asked = 0;
    const { ports } = portsOf({ ports: async () => (++asked < 4 ? [] : [listening("::1")]) });
    await ports.waitFor("web", 80, { timeoutMs: 60_000 });
    expect(asked).toBe(4);
  });

  it("ends with its signal", async () => {
    const abort = new AbortController();
    const { ports } = portsOf({
      ports: async () => {
        abort.abort(new Error("enough"));
        return [];
      },
    });
    await expect(ports.waitFor("web", 80, { timeoutMs: 60_000, signal: abort.signal })).rejects.toThrow("enough");
  });
});
