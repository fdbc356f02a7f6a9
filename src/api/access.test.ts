import { describe, expect, it } from "vitest";
import { bearerAccess, openAccess } from "./access.ts";

describe("bearer access", () => {
  const access = bearerAccess("s3cret");

  it.each(["Bearer s3cret", "bearer s3cret", "Bearer  s3cret "])("takes %j", (authorization) => {
    expect(() => access.check(authorization)).not.toThrow();
  });

  it("misses a header that is not there", () => {
    expect(() => access.check(undefined)).toThrow(expect.objectContaining({ code: "auth/missing" }));
  });

  it.each(["", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3crett", "Bearer S3CRET", "Basic s3cret"])(
    "refuses %j",
    (authorization) => {
      expect(() => access.check(authorization)).toThrow(expect.objectContaining({ code: "auth/refused" }));
    },
  );

  it("cannot be made of an empty token", () => {
    expect(() => bearerAccess("")).toThrow();
  });
});

it("open access asks for nothing", () => {
  expect(() => openAccess.check(undefined)).not.toThrow();
});
