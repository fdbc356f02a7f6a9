import { createHmac } from "node:crypto";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Received } from "../../../test/support/receiver.ts";
import { Receiver } from "../../../test/support/receiver.ts";
import type { SandboxEvent } from "../../model/event.ts";
import { newExecId, newSandboxId } from "../../model/ids.ts";
import { EventLog } from "../events/event-log.ts";
import type { WebhooksOptions } from "./webhooks.ts";
import { Webhooks } from "./webhooks.ts";

const SANDBOX = newSandboxId();
const log = { warn: vi.fn() };
let database: Database.Database;
let events: EventLog;
let webhooks: Webhooks;
let receiver: Receiver;

beforeEach(async () => {
  database = new Database(":memory:");
  events = new EventLog({ database, log, maxEvents: 2000 });
  webhooks = open();
  receiver = await Receiver.start();
});
afterEach(async () => {
  await webhooks.close();
  await receiver[Symbol.asyncDispose]();
  expect(log.warn).not.toHaveBeenCalled();
});

const open = (options: Partial<WebhooksOptions> = {}) =>
  new Webhooks({ database, events, log, retryMs: 5, maxRetryMs: 20, ...options });

function write(count: number, changes: Partial<SandboxEvent> = {}): void {
  for (let i = 0; i < count; i++) {
    const body = { type: "exec.started", exec: newExecId(), by: "local" } as const;
    const subject = { sandbox: SANDBOX, tenant: "default", name: null, labels: {} };
    events.append({ ...subject, at: new Date(), ...body, ...changes } as SandboxEvent);
  }
  events.close();
}

const bodyOf = ({ body }: Received) => JSON.parse(body) as { id?: number; type: string; from?: number; to?: number };
const ids = () => receiver.requests.map((request) => bodyOf(request).id);
const status = (id: string) => webhooks.get(id, null).status;

describe("a webhook", () => {
  it("is sent what happens from its making on, signed, in order", async () => {
    write(3);
    const { id, secret } = webhooks.create({ tenant: null, url: `${receiver.url}/hook?x=1` });
    write(5);
    await receiver.until(() => receiver.requests.length === 5);
    expect(ids()).toEqual([4, 5, 6, 7, 8]);
    const [first] = receiver.requests;
    expect(first).toMatchObject({ method: "POST", path: "/hook?x=1", headers: { "content-type": "application/json" } });
    expect(JSON.parse(first?.body ?? "")).toEqual({
      ...{ id: 4, type: "exec.started", at: expect.any(String), sandbox: SANDBOX, name: null, labels: {} },
      data: { exec: expect.any(String), by: "local" },
    });
    for (const { headers, body } of receiver.requests) {
      const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
      const key = Buffer.from(secret.slice("whsec_".length), "base64");
      expect(headers["webhook-signature"]).toBe(`v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
      expect(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1000)).toBeLessThan(60);
    }
    expect(new Set(receiver.requests.map(({ headers }) => headers["webhook-id"])).size).toBe(5);
    await expect.poll(() => status(id).deliveredId).toBe(8);
  });

  it("is sent only what it wants", async () => {
    const other = newSandboxId();
    webhooks.create({ tenant: null, url: `${receiver.url}/type`, types: ["limit.reached", "file.*"] });
    webhooks.create({ tenant: null, url: `${receiver.url}/sandbox`, sandbox: other });
    webhooks.create({ tenant: "acme", url: `${receiver.url}/tenant` });
    webhooks.create({ tenant: null, url: `${receiver.url}/label`, labels: ["team=a"] });
    write(1);
    write(1, { type: "file.changed", change: "written", path: "/a" } as never);
    write(1, { sandbox: other });
    write(1, { tenant: "acme" });
    write(1, { labels: { team: "a" } });
    await receiver.until(() => receiver.requests.length === 4);
    const got = receiver.requests.map((request) => `${request.path} ${bodyOf(request).id}`);
    expect(got.sort()).toEqual(["/label 5", "/sandbox 3", "/tenant 4", "/type 2"]);
  });

  it("tries again, the same message under the same id, until it is taken, and then goes on", async () => {
    const { id } = webhooks.create({ tenant: null, url: receiver.url });
    receiver.respond = (_request, response) => response.writeHead(500).end();
    write(2);
    await receiver.until(() => receiver.requests.length === 4);
    await expect.poll(() => status(id).failures).toBeGreaterThanOrEqual(4);
    expect(status(id)).toMatchObject({ state: "failing", deliveredId: 0, lastError: "HTTP 500", lastSuccessAt: null });
    receiver.respond = (_request, response) => response.writeHead(200).end();
    await receiver.until(() => ids().includes(2));
    expect(
      ids()
        .slice(0, -1)
        .every((each) => each === 1),
    ).toBe(true);
    const [first, second] = receiver.requests;
    expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
    expect(second?.body).toBe(first?.body);
    await expect.poll(() => status(id).deliveredId).toBe(2);
    expect(status(id)).toMatchObject({ state: "active", failures: 0, lastError: null, failingSince: null });
  });

  it("goes on after a restart where it was: nothing is left out, and what was not acknowledged comes again", async () => {
    const { id } = webhooks.create({ tenant: null, url: receiver.url });
    receiver.respond = (request, response) => void response.writeHead(bodyOf(request).id === 3 ? 503 : 200).end();
    write(5);
    await receiver.until(() => ids().includes(3));
    await webhooks.close();
    expect(ids()).not.toContain(4);
    write(2);
    receiver.respond = (_request, response) => response.writeHead(200).end();
    webhooks = open();
    await receiver.until(() => ids().includes(7));
    const distinct = ids().filter((each, index, all) => each !== all[index - 1]);
    expect(distinct).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(webhooks.get(id, null).url).toBe(receiver.url);
  });

  it("keeps the attempts of a restart from coming sooner than they were to", async () => {
    webhooks = open({ retryMs: 3_600_000, maxRetryMs: 3_600_000 });
    const { id } = webhooks.create({ tenant: null, url: receiver.url });
    receiver.respond = (_request, response) => response.writeHead(500).end();
    write(1);
    await expect.poll(() => status(id).failures).toBe(1);
    await webhooks.close();
    webhooks = open();
    expect(status(id).nextAttemptAt?.getTime()).toBeGreaterThan(Date.now() + 1_700_000);
    await webhooks.enable(id, null);
    await receiver.until(() => receiver.requests.length === 2);
  });

  it("waits as long as the receiver asks for", async () => {
    webhooks = open({ retryMs: 1, maxRetryMs: 3_600_000 });
    const { id } = webhooks.create({ tenant: null, url: receiver.url });
    receiver.respond = (_request, response) => response.writeHead(429, { "retry-after": "1000" }).end();
    write(1);
    await expect.poll(() => status(id).failures).toBe(1);
    expect(status(id).nextAttemptAt?.getTime()).toBeGreaterThan(Date.now() + 900_000);
  });

  it("is disabled when the receiver is gone for good, and can be enabled", async () => {
    const { id } = webhooks.create({ tenant: null, url: receiver.url });
    receiver.respond = (_request, response) => response.writeHead(410).end();
    write(2);
    await expect.poll(() => status(id).state).toBe("disabled");
    expect(receiver.requests).toHaveLength(1);
    expect(status(id)).toMatchObject({ lastError: "HTTP 410", nextAttemptAt: null });
    await webhooks.close();
    webhooks = open();
    expect(status(id).state).toBe("disabled");
    receiver.respond = (_request, response) => response.writeHead(200).end();
    expect((await webhooks.enable(id, null)).status.state).toBe("active");
    await receiver.until(() => receiver.requests.length === 3);
    expect(ids()).toEqual([1, 1, 2]);
  });

  it("is disabled when it has failed for too long", async () => {
    webhooks = open({ giveUpMs: 30 });
    const { id } = webhooks.create({ tenant: null, url: receiver.url });
    receiver.respond = (_request, response) => response.writeHead(500).end();
    write(1);
    await expect.poll(() => status(id).state).toBe("disabled");
    expect(status(id).failures).toBeGreaterThan(1);
  });

  it("follows no redirect, and takes no answer for one that comes too late", async () => {
    webhooks = open({ timeoutMs: 50 });
    const { id } = webhooks.create({ tenant: null, url: receiver.url });
    receiver.respond = (_request, response) => void response.writeHead(302, { location: `${receiver.url}/else` }).end();
    write(1);
    await expect.poll(() => status(id).lastError).toBe("HTTP 302, and redirects are not followed");
    receiver.respond = () => {};
    await expect.poll(() => status(id).lastError).toBe("no answer in 50 ms");
    expect(receiver.requests.every(({ path }) => path === "/")).toBe(true);
  });

  it("says what is wrong where nobody listens", async () => {
    const { id } = webhooks.create({ tenant: null, url: "http://127.0.0.1:9" });
    write(1);
    await expect.poll(() => status(id).failures).toBeGreaterThan(0);
    expect(status(id).lastError).toMatch(/ECONNREFUSED/);
  });

  it("is told which events are not kept any more", async () => {
    const { id } = webhooks.create({ tenant: null, url: receiver.url });
    receiver.respond = (_request, response) => response.writeHead(410).end();
    write(1);
    await expect.poll(() => status(id).state).toBe("disabled");
    for (let i = 0; i < 3; i++) write(1000);
    receiver.requests.length = 0;
    receiver.respond = (_request, response) => response.writeHead(200).end();
    await webhooks.enable(id, null);
    await receiver.until(() => receiver.requests.length >= 2);
    const [gap, next] = receiver.requests.map(bodyOf);
    expect(gap).toEqual({ type: "gap", from: 1, to: (next?.id ?? 0) - 1 });
    expect(next?.id).toBeGreaterThan(900);
  });

  it("is sent nothing more when it is removed", async () => {
    const { id } = webhooks.create({ tenant: null, url: receiver.url });
    write(1);
    await receiver.until(() => receiver.requests.length === 1);
    await webhooks.remove(id, null);
    write(3);
    expect(() => webhooks.get(id, null)).toThrow(expect.objectContaining({ code: "webhook/not-found" }));
    const { id: later } = webhooks.create({ tenant: null, url: `${receiver.url}/later` });
    write(1);
    await expect.poll(() => status(later).deliveredId).toBe(5);
    expect(receiver.requests.map(({ path }) => path)).toEqual(["/", "/later"]);
    await webhooks.close();
    webhooks = open();
    expect(webhooks.list(null).map((each) => each.id)).toEqual([later]);
  });

  it("can be tested at any time, beside the events", async () => {
    const { id, secret } = webhooks.create({ tenant: null, url: receiver.url, secret: `whsec_${"A".repeat(32)}` });
    expect(secret).toBe(`whsec_${"A".repeat(32)}`);
    expect(await webhooks.test(id, null)).toMatchObject({ ok: true, status: 204 });
    expect(receiver.requests.map(bodyOf)).toEqual([{ type: "webhook.test", at: expect.any(String) }]);
    receiver.respond = (_request, response) => response.writeHead(404).end();
    expect(await webhooks.test(id, null)).toMatchObject({ ok: false, status: 404, problem: "HTTP 404" });
    expect(status(id)).toMatchObject({ state: "active", failures: 0 });
  });

  it("is seen by its own tenant alone, and by the operator", async () => {
    const { id } = webhooks.create({ tenant: "acme", url: receiver.url });
    expect(webhooks.list("acme")).toHaveLength(1);
    expect(webhooks.list("other")).toEqual([]);
    expect(webhooks.list(null)).toHaveLength(1);
    expect(JSON.stringify(webhooks.list("acme"))).not.toContain("whsec_");
    await expect(webhooks.remove(id, "other")).rejects.toMatchObject({ code: "webhook/not-found" });
    expect(() => webhooks.get(id, "other")).toThrow(expect.objectContaining({ code: "webhook/not-found" }));
  });

  it("is one of a hundred of a tenant at most", () => {
    for (let i = 0; i < 100; i++) webhooks.create({ tenant: "acme", url: receiver.url });
    const one = () => webhooks.create({ tenant: "acme", url: receiver.url });
    expect(one).toThrow(expect.objectContaining({ code: "webhook/too-many" }));
    webhooks.create({ tenant: "other", url: receiver.url });
  });

  it.each(["", "ftp://x/", "/path", "http://u:p@127.0.0.1/", "http://127.0.0.1/#x", "javascript:alert(1)"])(
    "is not sent to %j",
    (url) => {
      expect(() => webhooks.create({ tenant: null, url })).toThrow(
        expect.objectContaining({ code: "input/invalid", field: "url" }),
      );
    },
  );
});
