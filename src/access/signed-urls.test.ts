import { describe, expect, it } from "vitest";
import { newSandboxId } from "../model/ids.ts";
import type { Grant, Visit } from "./signed-urls.ts";
import { UrlSigner } from "./signed-urls.ts";

const NOW = Date.UTC(2026, 0, 1);
const signer = new UrlSigner("the key of this daemon", () => NOW);
const sandbox = newSandboxId();
const grant: Grant = {
  ...{ sandbox, port: 8080, path: "/in", methods: ["GET", "HEAD"] },
  expiresAt: new Date(NOW + 60_000),
};
const visit: Visit = { sandbox, port: 8080, path: "/in", method: "GET" };
const signature = signer.sign(grant);

describe("a signature", () => {
  it.each<[string, Partial<Visit>]>([
    ["the path itself", {}],
    ["what is below it", { path: "/in/a/b" }],
    ["each of its methods", { method: "HEAD" }],
    ["a name that begins with dots", { path: "/in/..a/.b/..." }],
  ])("allows %s", (_what, changes) => {
    expect(signer.verify(signature, { ...visit, ...changes })).toEqual(grant.expiresAt);
  });

  it.each<[string, Partial<Visit>]>([
    ["another sandbox", { sandbox: newSandboxId() }],
    ["another port", { port: 8081 }],
    ["another method", { method: "POST" }],
    ["another path", { path: "/" }],
    ["a path that only begins so", { path: "/inside" }],
    ["a path above", { path: "/in/../secret" }],
    ["a path above, encoded", { path: "/in/%2e%2E/secret" }],
    ["a path above, encoded twice", { path: "/in/%252e%252e/secret" }],
    ["a path above, with an encoded slash", { path: "/in/..%2fsecret" }],
    ["a path above, with backslashes", { path: "/in\\..\\secret" }],
    ["a path above, with parameters", { path: "/in/..;x/secret" }],
    ["a path that ends above", { path: "/in/.." }],
  ])("does not allow %s", (_what, changes) => {
    expect(signer.verify(signature, { ...visit, ...changes })).toBeUndefined();
  });

  it("for / allows every path", () => {
    const all = signer.sign({ ...grant, path: "/" });
    expect(signer.verify(all, { ...visit, path: "/any/../thing" })).toBeDefined();
  });

  const [expires = "", methods = "", path = "", mac = ""] = signature.split(".");
  const later = String(Number(expires) + 1);
  const flipped = (mac.startsWith("A") ? "B" : "A") + mac.slice(1);
  it.each([
    ["a later end", [later, methods, path, mac]],
    ["more methods", [expires, `${methods}-POST`, path, mac]],
    ["a shorter path", [expires, methods, Buffer.from("/").toString("base64url"), mac]],
    ["no path", [expires, methods, "", mac]],
    ["another MAC", [expires, methods, path, flipped]],
    ["a shorter MAC", [expires, methods, path, mac.slice(1)]],
    ["no MAC", [expires, methods, path, ""]],
    ["its parts moved", [`${expires}${methods}`, path, mac]],
    ["nothing", [""]],
  ])("with %s is worth nothing", (_what, parts) => {
    expect(signer.verify(signature, visit)).toBeDefined();
    expect(signer.verify(parts.join("."), visit)).toBeUndefined();
  });

  it("of another key is worth nothing", () => {
    const other = new UrlSigner("another key", () => NOW);
    expect(signer.verify(other.sign(grant), visit)).toBeUndefined();
    expect(other.verify(other.sign(grant), visit)).toBeDefined();
  });

  it("ends at its time", () => {
    const at = (now: number) => new UrlSigner("the key of this daemon", () => now).verify(signature, visit);
    expect(at(NOW + 59_999)).toBeDefined();
    expect(at(NOW + 60_000)).toBeUndefined();
  });
});
