import { describe, expect, it } from "vitest";
import { PlyboxError } from "../model/errors.ts";
import type { Principal } from "../model/principal.ts";
import { LOCAL } from "../model/principal.ts";
import { bearerAccess, openAccess } from "./access.ts";

const BUILDER: Principal = { tenant: "acme", name: "builder", key: "1", scopes: new Set(["exec"]), isOperator: false };
const keys = {
  principalOf(secret: string) {
    if (secret === "ply_good") return BUILDER;
    if (secret === "ply_revoked") throw new PlyboxError("auth/refused", "revoked");
    return undefined;
  },
};

describe("bearer access", () => {
  const access = bearerAccess("s3cret", keys);

  it.each(["Bearer s3cret", "bearer s3cret", "Bearer  s3cret "])("takes %j as the operator's", (authorization) => {
    expect(access.check(authorization)).toBe(LOCAL);
  });

  it("knows whose an API key is", () => {
    expect(access.check("Bearer ply_good")).toBe(BUILDER);
  });

  it("misses a header that is not there", () => {
    expect(() => access.check(undefined)).toThrow(expect.objectContaining({ code: "auth/missing" }));
  });

  it.each([
    "",
    "s3cret",
    "Bearer",
    "Bearer ",
    "Bearer s3cre",
    "Bearer s3crett",
    "Bearer S3CRET",
    "Basic s3cret",
    "Bearer ply_revoked",
  ])("refuses %j", (authorization) => {
    expect(() => access.check(authorization)).toThrow(expect.objectContaining({ code: "auth/refused" }));
  });

  it("cannot be made of an empty token", () => {
    expect(() => bearerAccess("", keys)).toThrow();
  });
});

describe("open access", () => {
  const access = openAccess(keys);

  it.each([undefined, "Bearer anything", "Basic x"])("takes whoever shows %j for the operator", (authorization) => {
    expect(access.check(authorization)).toBe(LOCAL);
  });

  it("holds who shows an API key to it", () => {
    expect(access.check("Bearer ply_good")).toBe(BUILDER);
    expect(() => access.check("Bearer ply_revoked")).toThrow(expect.objectContaining({ code: "auth/refused" }));
  });
});
