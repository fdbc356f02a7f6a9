import { describe, expect, it } from "vitest";
import { parsePortAndPath } from "./port.ts";
import { parseRestart } from "./restart.ts";

describe("a restart policy", () => {
  it.each([
    ["never", { restart: "never" }],
    ["always", { restart: "always" }],
    ["on-failure", { restart: "on-failure" }],
    ["on-failure:5", { restart: "on-failure", maxRestarts: 5 }],
    ["always:1", { restart: "always", maxRestarts: 1 }],
  ])("%s is %j", (text, policy) => {
    expect(parseRestart(text)).toEqual(policy);
  });

  it.each(["", "no", "never:3", "on-failure:", "on-failure:x", "on-failure:-1"])("is not %j", (text) => {
    expect(() => parseRestart(text)).toThrow(expect.objectContaining({ code: "input/invalid" }));
  });
});

describe("a port with a path", () => {
  it.each([
    ["8080", { port: 8080 }],
    ["80/", { port: 80, path: "/" }],
    ["65535/a/b?c=d", { port: 65_535, path: "/a/b?c=d" }],
  ])("%s is %j", (text, expected) => {
    expect(parsePortAndPath(text)).toEqual(expected);
  });

  it.each(["", "0", "65536", "x", "80x", "/health", "-1"])("is not %j", (text) => {
    expect(() => parsePortAndPath(text)).toThrow(expect.objectContaining({ code: "input/invalid" }));
  });
});
