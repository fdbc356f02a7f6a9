import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NewKeyView } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import type { Scope } from "../../src/model/principal.ts";
import { SCOPES } from "../../src/model/principal.ts";
import type { ApiSubject } from "../support/api.ts";
import { startApi } from "../support/api.ts";

let api: ApiSubject;
let operator: Plybox;

beforeAll(async () => {
  api = await startApi();
  operator = new Plybox({ socketPath: api.socketPath });
});

afterAll(async () => {
  const sandboxes = await operator.list();
  await Promise.all(sandboxes.map((sandbox) => sandbox.remove()));
  operator.close();
  await api[Symbol.asyncDispose]();
});

let keys = 0;
const WRITER = ["sandboxes:read", "sandboxes:write", "exec"] as const;

async function keyOf(tenant: string, scopes: readonly Scope[] = WRITER): Promise<NewKeyView> {
  return await operator.keys.create({ name: `key-${keys++}`, tenant, scopes });
}

/** A client over TCP, as a tenant has it. */
const clientOf = ({ secret }: NewKeyView): Plybox =>
  new Plybox({ baseUrl: `http://127.0.0.1:${api.port}`, token: secret });

const memberOf = async (tenant: string, scopes?: readonly Scope[]): Promise<Plybox> =>
  clientOf(await keyOf(tenant, scopes));

/** The events that are kept. */
async function events(plybox: Plybox): Promise<readonly { readonly sandbox: string | null }[]> {
  return (await plybox.pastEvents({ limit: 1000 })).events;
}

const refusal = (code: string, fields: object = {}) => expect.objectContaining({ code, ...fields });

describe("a tenant", () => {
  it("sees its own sandboxes alone, and two may use one name", async () => {
    const [red, blue] = [await memberOf("red"), await memberOf("blue")];
    await using mine = await red.create({ name: "web" });
    await using other = await blue.create({ name: "web" });
    expect((await red.list()).map(({ id }) => id)).toEqual([mine.id]);
    expect((await red.get("web")).id).toBe(mine.id);
    expect((await blue.get("web")).id).toBe(other.id);
    expect((await mine.inspect()).tenant).toBe("red");
    expect((await mine.exec("echo red")).stdout).toBe("red\n");
  });

  it("gets nothing of another's checkpoints, also by their ids", async () => {
    const [red, blue] = [await memberOf("red", SCOPES), await memberOf("blue", SCOPES)];
    const upper = { kind: "tmpfs", bytes: 16 * 1024 ** 2, snapshots: true } as const;
    await using mine = await red.create({ upper });
    await using theirs = await blue.create({ upper });
    await theirs.files.write("/root/secret", "blue's");
    const { checkpoint } = await theirs.checkpoint({ name: "kept" });
    const missing = refusal("checkpoint/not-found");
    await expect(mine.restore(checkpoint.id)).rejects.toThrow(missing);
    await expect(mine.fork({ from: checkpoint.id })).rejects.toThrow(missing);
    await expect(red.checkpoints.get(checkpoint.id)).rejects.toThrow(missing);
    await expect(red.checkpoints.fork(checkpoint.id)).rejects.toThrow(missing);
    await expect(red.checkpoints.pack(checkpoint.id)).rejects.toThrow(missing);
    await expect(red.checkpoints.remove(checkpoint.id)).rejects.toThrow(missing);
    expect(await red.checkpoints.list()).toEqual([]);
    expect((await blue.checkpoints.list()).map(({ id }) => id)).toEqual([checkpoint.id]);
    await blue.checkpoints.remove(checkpoint.id);
  });

  it("is answered for another's sandbox as for one that does not exist, on every route", async () => {
    const [red, blue] = [await memberOf("red", SCOPES), await memberOf("blue")];
    await using other = await blue.create({ name: "theirs" });
    const missing = refusal("sandbox/not-found");
    for (const ref of [other.id, "theirs"]) await expect(red.get(ref)).rejects.toThrow(missing);
    const { secret } = await keyOf("red", SCOPES);
    const asRed = async (path: string, method = "GET", body?: object): Promise<number> =>
      (
        await fetch(`http://127.0.0.1:${api.port}${path}`, {
          method,
          headers: {
            authorization: `Bearer ${secret}`,
            ...(body && { "content-type": "application/json" }),
          },
          ...(body && { body: JSON.stringify(body) }),
        })
      ).status;
    const base = `/v1/sandboxes/${other.id}`;
    expect(await asRed(base)).toBe(404);
    expect(await asRed(`${base}/exec`, "POST", { command: "true" })).toBe(404);
    expect(await asRed(`${base}/execs`)).toBe(404);
    expect(await asRed(base, "DELETE")).toBe(404);
    // The control: its owner still reaches it.
    expect((await other.exec("echo here")).stdout).toBe("here\n");
  });

  it("hears of its own sandboxes alone, and sees what they take alone", async () => {
    const [red, blue] = [await memberOf("red", SCOPES), await memberOf("blue", SCOPES)];
    await using mine = await red.create();
    await using theirs = await blue.create();
    await theirs.exec("true");
    await mine.exec("true");
    const heard = new Set<string | null>();
    for (const event of await events(red)) heard.add(event.sandbox);
    expect(heard).toContain(mine.id);
    expect(heard).not.toContain(theirs.id);
    expect((await red.usage()).map(({ sandbox }) => sandbox)).toEqual([mine.id]);
    // The control: the operator hears of both.
    const all = (await events(operator)).map(({ sandbox }) => sandbox);
    expect(all).toEqual(expect.arrayContaining([mine.id, theirs.id]));
  });

  it("is reached by the operator through the id", async () => {
    await using theirs = await (await memberOf("red")).create({ name: "hidden" });
    expect((await operator.get(theirs.id)).view.tenant).toBe("red");
    await expect(operator.get("hidden")).rejects.toThrow(refusal("sandbox/not-found"));
    expect((await operator.list()).map(({ id }) => id)).toContain(theirs.id);
  });
});

describe("a key", () => {
  it.each([
    ["sandboxes:read", (plybox: Plybox) => plybox.list()],
    ["sandboxes:write", async (plybox: Plybox) => await (await plybox.create()).remove()],
    ["layers:read", (plybox: Plybox) => plybox.layers.list()],
    ["admin", (plybox: Plybox) => plybox.keys.list()],
  ] as const)("needs the scope %s for what it guards", async (scope, use) => {
    await expect(use(await memberOf("red", [scope]))).resolves.not.toThrow();
    const others = SCOPES.filter((each) => each !== scope && each !== "admin");
    await expect(use(await memberOf("red", others))).rejects.toThrow(refusal("auth/scope-missing"));
  });

  it("of an administrator may do what every scope allows in its tenant, and nothing of the operator's", async () => {
    const admin = await memberOf("red", ["admin"]);
    await using sandbox = await admin.create();
    expect((await sandbox.exec("echo 1")).stdout).toBe("1\n");
    await expect(admin.tenants.list()).rejects.toThrow(refusal("auth/scope-missing"));
    await expect(admin.layers.remove(api.spareLayer)).rejects.toThrow(refusal("auth/scope-missing"));
    await expect(admin.keys.create({ name: "spy", tenant: "blue", scopes: ["exec"] })).rejects.toThrow(
      refusal("auth/scope-missing", { field: "tenant" }),
    );
  });

  it("is listed and revoked within its tenant alone", async () => {
    const [redKey, blueKey] = [await keyOf("red"), await keyOf("blue")];
    const admin = await memberOf("red", ["admin"]);
    const listed = await admin.keys.list();
    expect(listed.map(({ id }) => id)).toContain(redKey.id);
    expect(new Set(listed.map(({ tenant }) => tenant))).toEqual(new Set(["red"]));
    expect(JSON.stringify(listed)).not.toContain(redKey.secret.slice(-43));
    await expect(admin.keys.revoke(blueKey.id)).rejects.toThrow(refusal("key/not-found"));
    await admin.keys.revoke(redKey.id);
    await expect(clientOf(redKey).list()).rejects.toThrow(refusal("auth/refused"));
    // The control: the other tenant's key still opens.
    await expect(clientOf(blueKey).list()).resolves.toEqual([]);
  });

  it("holds on the Unix socket, too", async () => {
    const { secret } = await keyOf("red", ["sandboxes:read"]);
    const member = new Plybox({ socketPath: api.socketPath, token: secret });
    await expect(member.create()).rejects.toThrow(refusal("auth/scope-missing"));
    await expect(member.list()).resolves.toEqual([]);
    member.close();
  });
});

describe("quotas", () => {
  it("hold under creates at once: as many as there is room for win", async () => {
    await operator.tenants.set("small", { sandboxes: 3 });
    const member = await memberOf("small");
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => member.create()));
    const made = results.filter((result) => result.status === "fulfilled");
    const refused = results.filter((result) => result.status === "rejected");
    expect(made).toHaveLength(3);
    for (const { reason } of refused) expect(reason).toEqual(refusal("quota/exceeded", { field: "sandboxes" }));
    await made[0]?.value.remove();
    await (await member.create()).remove();
    await Promise.all(made.slice(1).map(({ value }) => value.remove()));
  });

  it("count what was asked for", async () => {
    await operator.tenants.set("lean", { memoryBytes: 100 * 1024 ** 2, cpus: 1 });
    const member = await memberOf("lean");
    await using _ = await member.create({ limits: { memoryBytes: 64 * 1024 ** 2, cpus: 0.5 } });
    await expect(member.create({ limits: { memoryBytes: 64 * 1024 ** 2, cpus: 0.5 } })).rejects.toThrow(
      refusal("quota/exceeded", { field: "memoryBytes" }),
    );
    await expect(member.create({ limits: { memoryBytes: 32 * 1024 ** 2, cpus: 0.6 } })).rejects.toThrow(
      refusal("quota/exceeded", { field: "cpus" }),
    );
  });
});

describe("a rate", () => {
  it("lets its burst through, then says when to come back", async () => {
    const { secret } = await keyOf("hasty", ["sandboxes:read"]);
    await operator.tenants.set("hasty", { requests: { perMinute: 1, burst: 3 } });
    const ask = () =>
      fetch(`http://127.0.0.1:${api.port}/v1/sandboxes`, { headers: { authorization: `Bearer ${secret}` } });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) {
      const answer = await ask();
      statuses.push(answer.status);
      if (answer.status !== 429) continue;
      expect(await answer.json()).toMatchObject({ error: { code: "rate/limited" } });
      const seconds = Number(answer.headers.get("retry-after"));
      expect(seconds).toBeGreaterThan(30);
      expect(seconds).toBeLessThanOrEqual(60);
    }
    expect(statuses).toEqual([200, 200, 200, 429]);
    await operator.tenants.set("hasty", { requests: null });
    expect((await ask()).status).toBe(200);
  });

  it("of commands holds for commands alone", async () => {
    await operator.tenants.set("busy", { execs: { perMinute: 1, burst: 1 } });
    const member = await memberOf("busy");
    await using sandbox = await member.create();
    await sandbox.exec("true");
    await expect(sandbox.exec("true")).rejects.toThrow(refusal("rate/limited"));
    expect((await sandbox.inspect()).state.kind).toBe("running");
  });
});

describe("the audit log", () => {
  it("says who changed what with what result, and what was refused", async () => {
    const key = await keyOf("logged");
    const member = clientOf(key);
    const sandbox = await member.create({ name: "one" });
    await expect(member.create({ name: "one" })).rejects.toThrow(refusal("sandbox/name-taken"));
    await sandbox.exec("true");
    await sandbox.remove();
    await expect(member.keys.create({ name: "x", scopes: ["exec"] })).rejects.toThrow(refusal("auth/scope-missing"));
    const entries = await operator.audit({ tenant: "logged" });
    const seen = entries.map(({ action, status, code, sandbox }) => ({ action, status, code, sandbox })).reverse();
    expect(seen).toEqual([
      { action: "createSandbox", status: 201, code: null, sandbox: sandbox.id },
      { action: "createSandbox", status: 409, code: "sandbox/name-taken", sandbox: null },
      { action: "exec", status: 200, code: null, sandbox: sandbox.id },
      { action: "removeSandbox", status: 204, code: null, sandbox: sandbox.id },
      { action: "createKey", status: 403, code: "auth/scope-missing", sandbox: null },
    ]);
    expect(entries[1]).toMatchObject({
      by: key.name,
      key: key.id,
      remote: "127.0.0.1",
      path: `/v1/sandboxes/${sandbox.id}`,
    });
  });

  it("has those, too, of whom nobody knows who they are", async () => {
    const answer = await fetch(`http://127.0.0.1:${api.port}/v1/sandboxes`, { method: "POST" });
    expect(answer.status).toBe(401);
    const [entry] = await operator.audit({ limit: 1 });
    expect(entry).toMatchObject({ action: "createSandbox", status: 401, code: "auth/missing", tenant: null, by: null });
  });

  it("is shown to a tenant's administrator of that tenant alone", async () => {
    const admin = await memberOf("logged", ["admin"]);
    const tenants = new Set((await admin.audit()).map(({ tenant }) => tenant));
    expect(tenants).toEqual(new Set(["logged"]));
    await expect(admin.audit({ tenant: "red" })).rejects.toThrow(refusal("auth/scope-missing"));
  });
});
