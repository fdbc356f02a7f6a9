import type { IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { open, send, sentEvents } from "../../test/support/http.ts";
import { ProcessSandboxes } from "../../test/support/process-sandboxes.ts";
import { serve } from "../../test/support/serve-api.ts";
import type { EventBody, SandboxEvent } from "../model/event.ts";
import { newExecId, newSandboxId } from "../model/ids.ts";
import { UsageSampler } from "../sandbox/usage/usage-sampler.ts";

const unused = () => {
  throw new Error("not part of this test");
};
const GONE = newSandboxId();
const SUBJECT = { sandbox: GONE, tenant: "default", name: null, labels: {} };
const started: EventBody = { type: "exec.started", exec: newExecId(), by: "ci" };

const sandboxes = new ProcessSandboxes(["000-host"]);
async function apiOf() {
  const served = await serve(
    {
      sandboxes,
      agents: { agent: unused, fileAgent: unused, announce: unused },
      lifecycle: {
        ...{ pause: unused, resume: unused, stop: unused, start: unused, restart: unused },
        ...{ update: unused, waitReady: unused },
      },
      usage: new UsageSampler({ list: unused, get: unused, usage: unused }, { figure: unused }),
      version: "1",
      ready: () => [],
      log: { error: vi.fn() },
      keepAliveMs: 20,
    },
    "t",
  );
  return Object.assign(served, { token: "t", spareLayer: "" });
}

let api: Awaited<ReturnType<typeof apiOf>>;
beforeEach(async () => {
  api = await apiOf();
});
afterEach(() => api[Symbol.asyncDispose]());

function write(count: number, body: EventBody = started, changes: Partial<SandboxEvent> = {}): void {
  for (let i = 0; i < count; i++) {
    // The log holds only so many that are not written.
    if (i % 5000 === 0) api.events.close();
    api.events.append({ ...SUBJECT, at: new Date(), ...body, ...changes } as SandboxEvent);
  }
  api.events.close();
}

const get = (query = "", headers = {}) => send(api, { path: `/v1/events${query}`, headers });
const ids = (answer: Awaited<ReturnType<typeof get>>) =>
  answer.json<{ events: { id: number }[] }>().events.map(({ id }) => id);

async function stream(query = "", headers: Readonly<Record<string, string>> = {}) {
  const path = `/v1/events${query}`;
  const incoming = await open(api, { path, headers: { accept: "text/event-stream", ...headers } });
  const events = sentEvents(incoming);
  const take = async (count: number): Promise<(readonly [string, string])[]> => {
    const taken: (readonly [string, string])[] = [];
    while (taken.length < count) {
      const { value, done } = await events.next();
      if (done) break;
      taken.push([value.name, value.id]);
    }
    return taken;
  };
  return { incoming, events, take, [Symbol.dispose]: () => void incoming.destroy() };
}

describe("past events", () => {
  it("are the latest, oldest first, with where to read on", async () => {
    write(3);
    const answer = await get("?limit=2");
    expect(answer.json()).toMatchObject({ gaps: [], next: 3 });
    expect(answer.json<{ events: object[] }>().events).toEqual([
      expect.objectContaining({
        id: 2,
        type: "exec.started",
        sandbox: GONE,
        data: { exec: expect.any(String), by: "ci" },
      }),
      expect.objectContaining({ id: 3 }),
    ]);
    expect(answer.text).not.toContain("tenant");
    expect(ids(await get("?after=1"))).toEqual([2, 3]);
    expect(ids(await get("?after=0&limit=1"))).toEqual([1]);
    expect((await get("?after=0&limit=1")).json()).toMatchObject({ next: 1 });
  });

  it("can be of some types, or of an area", async () => {
    write(1);
    write(1, { type: "sandbox.ready" });
    write(1, { type: "file.changed", change: "written", path: "/a" });
    expect(ids(await get("?type=exec.*,file.changed"))).toEqual([1, 3]);
    expect((await get("?type=exec.eaten")).json()).toMatchObject({ error: { code: "input/invalid", field: "type" } });
  });

  it("can be of one sandbox, by its name, or by its id also when it is gone", async () => {
    const { id } = await sandboxes.create({ name: "web" as never });
    write(1);
    write(1, started, { sandbox: id });
    expect(ids(await get("?sandbox=web"))).toEqual([2]);
    expect(ids(await get(`?sandbox=${GONE}`))).toEqual([1]);
    expect((await get("?sandbox=nobody")).status).toBe(404);
    await sandboxes.remove(id);
  });

  it("can be of sandboxes that had labels", async () => {
    write(1);
    write(1, started, { labels: { team: "a", tier: "1" } });
    expect(ids(await get("?label=team=a&label=tier"))).toEqual([2]);
    expect(ids(await get("?label=team=b"))).toEqual([]);
  });

  it("are those of the tenant whose key is shown, and of all for the operator", async () => {
    write(1);
    write(1, started, { tenant: "acme" });
    const { secret } = api.accounts.keys.create({ name: "k", tenant: "acme", scopes: ["events"] });
    expect(ids(await get("", { authorization: `Bearer ${secret}` }))).toEqual([2]);
    expect(ids(await get())).toEqual([1, 2]);
    const { secret: other } = api.accounts.keys.create({ name: "k", tenant: "acme", scopes: ["exec"] });
    expect((await get("", { authorization: `Bearer ${other}` })).status).toBe(403);
  });

  it("cannot be gone on after an id that never was", async () => {
    write(1);
    expect((await get("?after=2")).json()).toMatchObject({ error: { code: "input/invalid", field: "after" } });
  });
});

describe("a stream of events", () => {
  it("begins with what comes, after having said where", async () => {
    write(2);
    using reader = await stream();
    expect(await reader.take(1)).toEqual([["begin", "2"]]);
    write(2);
    expect(await reader.take(2)).toEqual([
      ["exec.started", "3"],
      ["exec.started", "4"],
    ]);
  });

  it.each([
    ["?after=1", {}],
    ["", { "last-event-id": "1" }],
    ["?after=0", { "last-event-id": "1" }],
  ])("goes on after an id: %j %j", async (query, headers) => {
    write(3);
    using reader = await stream(query, headers);
    expect(await reader.take(3)).toEqual([
      ["begin", "1"],
      ["exec.started", "2"],
      ["exec.started", "3"],
    ]);
  });

  it("names what is not there any more before it goes on", async () => {
    write(1, started, { at: new Date(0) });
    write(1000, started, { at: new Date(0) });
    write(1);
    using reader = await stream("?after=0");
    expect(await reader.take(3)).toEqual([
      ["begin", "0"],
      ["gap", "1001"],
      ["exec.started", "1002"],
    ]);
  });

  it("keeps a silent connection alive", async () => {
    using reader = await stream();
    let text = "";
    for await (const piece of reader.incoming.setEncoding("utf8")) {
      text += piece;
      if (text.split(": still here\n\n").length > 3) break;
    }
    expect(text).toContain("event: begin\nid: 0\n");
  });

  it("reads no further than a reader that stops", async () => {
    const read = vi.spyOn(api.events, "read");
    using reader = await stream("?after=0");
    (reader.incoming as IncomingMessage).pause();
    write(90_000, { type: "file.changed", change: "written", path: "/x".repeat(100) });
    await expect.poll(() => read.mock.calls.length).toBeGreaterThan(1);
    let before = -1;
    while (before !== read.mock.calls.length) {
      before = read.mock.calls.length;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // What the kernel's buffers hold and a page or two; all would be 350 pages.
    expect(read.mock.calls.length).toBeLessThan(100);
    expect(api.events.newest).toBe(90_000);
  });
});
