import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { portAddressOf } from "./address.ts";
import { takeFromCookie, takeFromTarget } from "./credentials.ts";

const of = (url: string, host = "localhost", domain: string | null = "box.test") =>
  portAddressOf({ url, headers: { host } } as IncomingMessage, domain);

describe("a port's address", () => {
  it.each([
    ["/v1/sandboxes/web/ports/80/", "web", 80, "/"],
    ["/v1/sandboxes/web/ports/80/a/b?c=/ports/9/", "web", 80, "/a/b?c=/ports/9/"],
    ["/v1/sandboxes/web/ports/80", "web", 80, ""],
    ["/v1/sandboxes/web/ports/80?a", "web", 80, "?a"],
    ["/v1/sandboxes/sb_1/ports/65535//x", "sb_1", 65_535, "//x"],
  ])("by path %s", (...[url, ref, port, target]) => {
    expect(of(url)).toMatchObject({ ref, port, target, byHost: false });
  });

  it.each([
    ["8080-web.box.test", "web", 8080],
    ["8080-80-web-1.box.test:7070", "80-web-1", 8080],
    ["80-SB_01.Box.Test.", "sb_01", 80],
  ])("by host name %s", (...[host, ref, port]) => {
    expect(of("/v1/sandboxes?x", host)).toEqual({ ref, port, target: "/v1/sandboxes?x", prefix: "", byHost: true });
  });

  it.each([
    ["/v1/sandboxes/web/ports", "localhost"],
    ["/v1/sandboxes/a/b/ports/80/", "localhost"],
    ["/v1/sandboxes?/ports/80/", "localhost"],
    ["/v1/sandboxes/web/port-tokens", "localhost"],
    ["/", "box.test"],
    ["/", "web.box.test"],
    ["/", "8080-web.other.test"],
    ["/", "8080-web.box.test.evil.test"],
    ["/", "8080-webbox.test"],
    ["/", "a.8080-web.box.test"],
    ["/", "-web.box.test"],
  ])("is none in %s at %s", (url, host) => {
    expect(of(url, host)).toBeUndefined();
  });

  it("is none by host name without a domain", () => {
    expect(of("/", "8080-web.box.test", null)).toBeUndefined();
  });

  it.each([
    ["/v1/sandboxes/web/ports/0/", "localhost"],
    ["/v1/sandboxes/web/ports/080/", "localhost"],
    ["/v1/sandboxes/web/ports/65536/", "localhost"],
    ["/v1/sandboxes/web/ports/x/", "localhost"],
    ["/", "0-web.box.test"],
    ["/", "65536-web.box.test"],
  ])("with a wrong port is refused: %s at %s", (url, host) => {
    expect(() => of(url, host)).toThrow(expect.objectContaining({ code: "input/invalid" }));
  });
});

describe("what is meant for this daemon", () => {
  it.each([
    ["/?plybox-token=a", "/", ["a"]],
    ["/x?b=%20&plybox-token=a&&c", "/x?b=%20&&c", ["a"]],
    ["/?plybox-token=a&plybox-token=b", "/", ["a", "b"]],
    ["/?plybox-token", "/", [""]],
    ["/?plybox-tokens=a&xplybox-token=b", "/?plybox-tokens=a&xplybox-token=b", []],
    ["/plybox-token=a?", "/plybox-token=a?", []],
  ])("is taken out of the target %s", (given, target, taken) => {
    expect(takeFromTarget(given)).toEqual({ target, taken });
  });

  it.each([
    ["plybox-token=a", "", "a"],
    ["x=1; plybox-token=a;y=2", "x=1; y=2", "a"],
    ["x=1", "x=1", undefined],
  ])("is taken out of the cookie %s", (given, rest, taken) => {
    expect(takeFromCookie(given)).toEqual({ rest, taken });
  });
});
