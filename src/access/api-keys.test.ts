import Database from "better-sqlite3";
import { beforeEach, describe, expect, it } from "vitest";
import { ApiKeys } from "./api-keys.ts";

let database: Database.Database;
let time: number;
const open = (): ApiKeys => new ApiKeys(database, () => time);

beforeEach(() => {
  database = new Database(":memory:");
  time = Date.parse("2026-01-01T00:00:00Z");
});

const NEW = { name: "ci", tenant: "acme", scopes: ["exec", "sandboxes:read"] } as const;
const refused = (message: string) => expect.objectContaining({ code: "auth/refused", message });

describe("an API key", () => {
  it("names its tenant and its scopes, and is no operator", () => {
    const { key, secret } = open().create(NEW);
    expect(open().principalOf(secret)).toEqual({
      tenant: "acme",
      name: "ci",
      key: key.id,
      scopes: new Set(["sandboxes:read", "exec"]),
      isOperator: false,
    });
  });

  it("is not kept: neither it nor its random part is in the database", () => {
    const { secret } = open().create(NEW);
    const random = secret.slice(-43);
    const [row] = database.prepare("SELECT * FROM api_keys").all();
    expect(JSON.stringify(row)).not.toContain(random);
    expect(Buffer.from(database.serialize()).includes(random)).toBe(false);
  });

  it("is refused once it is revoked, also by the next daemon; revoking twice is harmless", () => {
    const keys = open();
    const { key, secret } = keys.create(NEW);
    const { revokedAt } = keys.revoke(key.id);
    time += 1000;
    expect(keys.revoke(key.id).revokedAt).toEqual(revokedAt);
    for (const each of [keys, open()]) {
      expect(() => each.principalOf(secret)).toThrow(refused(`the API key ${key.id} is revoked`));
    }
  });

  it("is taken until it expires and refused from then on", () => {
    const { key, secret } = open().create({ ...NEW, expiresAt: new Date(time + 1000) });
    time += 999;
    expect(open().principalOf(secret)?.key).toBe(key.id);
    time += 1;
    expect(() => open().principalOf(secret)).toThrow(refused(`the API key ${key.id} has expired`));
  });

  it("cannot be made for the past", () => {
    expect(() => open().create({ ...NEW, expiresAt: new Date(time) })).toThrow(
      expect.objectContaining({ code: "input/invalid", field: "expiresAt" }),
    );
    expect(open().list()).toEqual([]);
  });

  it("is refused with another's secret, and with one letter changed", () => {
    const keys = open();
    const [first, second] = [keys.create(NEW), keys.create(NEW)];
    const mixed = `ply_${first.key.id}_${second.secret.slice(-43)}`;
    const last = first.secret.at(-1) === "A" ? "B" : "A";
    for (const wrong of [mixed, first.secret.slice(0, -1) + last, `ply_${"0".repeat(12)}_${"A".repeat(43)}`]) {
      expect(() => keys.principalOf(wrong)).toThrow(refused("there is no such API key"));
    }
  });

  it.each(["", "token", "ply_", "ply_short_secret"])("%j is no key at all", (text) => {
    expect(open().principalOf(text)).toBeUndefined();
  });

  it("tells its last use to the minute", () => {
    const keys = open();
    const { secret } = keys.create(NEW);
    const usedAt = () => open().list()[0]?.lastUsedAt?.getTime();
    expect(usedAt()).toBeUndefined();
    keys.principalOf(secret);
    const first = time;
    expect(usedAt()).toBe(first);
    time += 59_999;
    keys.principalOf(secret);
    expect(usedAt()).toBe(first);
    time += 1;
    keys.principalOf(secret);
    expect(usedAt()).toBe(time);
  });
});

describe("the keys", () => {
  it("are listed oldest first, of one tenant or of all", () => {
    const keys = open();
    const made = ["acme", "other", "acme"].map((tenant) => {
      time += 1;
      return keys.create({ ...NEW, tenant }).key;
    });
    expect(open().list()).toEqual(made);
    expect(open().list("acme")).toEqual([made[0], made[2]]);
  });

  it("of another tenant cannot be revoked", () => {
    const keys = open();
    const { key, secret } = keys.create(NEW);
    expect(() => keys.revoke(key.id, "other")).toThrow(expect.objectContaining({ code: "key/not-found" }));
    expect(keys.principalOf(secret)?.key).toBe(key.id);
    expect(keys.revoke(key.id, "acme").revokedAt).not.toBeNull();
  });

  it("that do not exist cannot be revoked", () => {
    expect(() => open().revoke("0".repeat(12))).toThrow(expect.objectContaining({ code: "key/not-found" }));
  });
});
