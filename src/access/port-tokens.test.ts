import Database from "better-sqlite3";
import { beforeEach, describe, expect, it } from "vitest";
import { newSandboxId } from "../model/ids.ts";
import { PortTokens } from "./port-tokens.ts";

let now = 0;
let database: Database.Database;
let tokens: PortTokens;
const [sandbox, other] = [newSandboxId(), newSandboxId()];
beforeEach(() => {
  now = Date.UTC(2026, 0, 1);
  database = new Database(":memory:");
  tokens = new PortTokens(database, () => now);
});
const create = (more = {}) => tokens.create({ sandbox, port: 80, ...more });

describe("a port token", () => {
  it("opens its port of its sandbox, and nothing else", () => {
    const { secret, token } = create();
    expect(tokens.verify(secret, sandbox, 80)).toEqual(token);
    expect(tokens.verify(secret, sandbox, 81)).toBeUndefined();
    expect(tokens.verify(secret, other, 80)).toBeUndefined();
    expect(tokens.verify(`${secret.slice(0, -1)}${secret.endsWith("A") ? "B" : "A"}`, sandbox, 80)).toBeUndefined();
    for (const wrong of ["", "x", secret.slice(1), ` ${secret}`]) {
      expect(tokens.verify(wrong, sandbox, 80)).toBeUndefined();
    }
  });

  it("ends at its time", () => {
    const { secret } = create({ expiresInSeconds: 1 });
    now += 999;
    expect(tokens.verify(secret, sandbox, 80)).toBeDefined();
    now += 1;
    expect(tokens.verify(secret, sandbox, 80)).toBeUndefined();
    expect(tokens.list(sandbox)).toHaveLength(1);
  });

  it("is worthless once revoked, which another sandbox's owner cannot do", () => {
    const { secret, token } = create();
    expect(() => tokens.revoke(other, token.id)).toThrow(expect.objectContaining({ code: "port/token-not-found" }));
    expect(tokens.verify(secret, sandbox, 80)).toBeDefined();
    tokens.revoke(sandbox, token.id);
    expect(tokens.verify(secret, sandbox, 80)).toBeUndefined();
    expect(() => tokens.revoke(sandbox, token.id)).toThrow(expect.objectContaining({ code: "port/token-not-found" }));
  });

  it("is kept without its secret, and known again after a restart", () => {
    const { secret, token } = create({ expiresInSeconds: 60 });
    expect(JSON.stringify(database.prepare("SELECT * FROM port_tokens").all())).not.toContain(secret.slice(-20));
    expect(database.serialize().includes(secret.slice(-20))).toBe(false);
    expect(new PortTokens(database, () => now).verify(secret, sandbox, 80)).toEqual(token);
  });

  it("dies with its sandbox", () => {
    const [gone, stays] = [create(), tokens.create({ sandbox: other, port: 80 })];
    tokens.forget(sandbox);
    const again = new PortTokens(database, () => now);
    for (const each of [tokens, again]) {
      expect(each.verify(gone.secret, sandbox, 80)).toBeUndefined();
      expect(each.verify(stays.secret, other, 80)).toBeDefined();
    }
    again.keepOnly((id) => id === sandbox);
    expect(new PortTokens(database, () => now).list(other)).toEqual([]);
  });
});
