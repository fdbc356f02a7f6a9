import Database from "better-sqlite3";
import { beforeEach, describe, expect, it } from "vitest";
import { sandboxRecord } from "../../test/support/sandbox-record.ts";
import { NO_QUOTAS } from "../model/access.ts";
import { DEFAULT_LIMITS } from "../model/sandbox.ts";
import { Tenants } from "./tenants.ts";

let database: Database.Database;
let now: number;
const open = (): Tenants => new Tenants(database, () => now);

beforeEach(() => {
  database = new Database(":memory:");
  now = 0;
});

const GIB = 1024 ** 3;
const sandbox = (tenant: string) =>
  sandboxRecord({
    tenant,
    limits: { ...DEFAULT_LIMITS, cpus: 1, memoryBytes: GIB, pids: 10 },
    upper: { kind: "tmpfs", bytes: GIB },
  });

describe("quotas", () => {
  it("are none for a tenant that nobody has set", () => {
    expect(open().quotasOf("acme")).toEqual(NO_QUOTAS);
    expect(open().list()).toEqual([]);
  });

  it("are set one by one, kept by the next daemon, and taken away by null", () => {
    const tenants = open();
    tenants.set("acme", { sandboxes: 2, cpus: 4 });
    tenants.set("acme", { sandboxes: null, execs: { perMinute: 60, burst: 6 } });
    tenants.set("aaa", { cpus: 1 });
    const acme = { ...NO_QUOTAS, cpus: 4, execs: { perMinute: 60, burst: 6 } };
    expect(open().list()).toEqual([
      { name: "aaa", quotas: { ...NO_QUOTAS, cpus: 1 } },
      { name: "acme", quotas: acme },
    ]);
  });

  it.each([
    ["sandboxes", 2],
    ["cpus", 2],
    ["memoryBytes", 2 * GIB],
    ["diskBytes", 2 * GIB],
  ])("of %s take what fits and name what does not", (quota, most) => {
    const tenants = open();
    tenants.set("acme", { [quota]: most });
    const [first, second, third] = [sandbox("acme"), sandbox("acme"), sandbox("acme")];
    const living = [first, sandbox("other"), sandbox("other")];
    expect(() => tenants.admit(second, living)).not.toThrow();
    expect(() => tenants.admit(third, [...living, second])).toThrow(
      expect.objectContaining({ code: "quota/exceeded", field: quota }),
    );
    // Other tenants have other quotas.
    expect(() => tenants.admit(sandbox("other"), [...living, second])).not.toThrow();
  });

  it("do not count the sandbox itself twice", () => {
    const tenants = open();
    tenants.set("acme", { sandboxes: 1 });
    const one = sandbox("acme");
    expect(() => tenants.admit(one, [one])).not.toThrow();
  });

  it("of disk refuse a layer without a size", () => {
    const tenants = open();
    const endless = sandboxRecord({ tenant: "acme", upper: { kind: "disk" } });
    expect(() => tenants.admit(endless, [])).not.toThrow();
    tenants.set("acme", { diskBytes: Number.MAX_SAFE_INTEGER });
    expect(() => tenants.admit(endless, [])).toThrow(expect.objectContaining({ field: "diskBytes" }));
  });
});

describe("rates", () => {
  it("let a burst through and then say when to come back; each kind and tenant for itself", () => {
    const tenants = open();
    tenants.set("acme", { requests: { perMinute: 60, burst: 1 } });
    tenants.spend("acme", "requests");
    expect(() => tenants.spend("acme", "requests")).toThrow(
      expect.objectContaining({ code: "rate/limited", retryAfterMs: 1000 }),
    );
    expect(() => tenants.spend("acme", "execs")).not.toThrow();
    expect(() => tenants.spend("other", "requests")).not.toThrow();
    now += 1000;
    expect(() => tenants.spend("acme", "requests")).not.toThrow();
  });

  it("hold from when they are set", () => {
    const tenants = open();
    tenants.set("acme", { execs: { perMinute: 1, burst: 1 } });
    tenants.spend("acme", "execs");
    tenants.set("acme", { execs: { perMinute: 1, burst: 2 } });
    expect(() => {
      tenants.spend("acme", "execs");
      tenants.spend("acme", "execs");
    }).not.toThrow();
    expect(() => tenants.spend("acme", "execs")).toThrow(expect.objectContaining({ code: "rate/limited" }));
    tenants.set("acme", { execs: null });
    expect(() => tenants.spend("acme", "execs")).not.toThrow();
  });
});
