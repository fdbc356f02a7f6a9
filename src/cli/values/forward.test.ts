import { describe, expect, it } from "vitest";
import { parseForwarding } from "./forward.ts";

describe("parseForwarding", () => {
  it.each([
    ["8080", "127.0.0.1", 8080, { port: 8080 }],
    ["8080:80", "127.0.0.1", 8080, { port: 80 }],
    ["0:80", "127.0.0.1", 0, { port: 80 }],
    ["0.0.0.0:8080:80", "0.0.0.0", 8080, { port: 80 }],
    ["localhost:0:80", "localhost", 0, { port: 80 }],
    ["[::1]:8080:80", "::1", 8080, { port: 80 }],
    ["8080:/run/x.sock", "127.0.0.1", 8080, { socket: "/run/x.sock" }],
    ["[::1]:0:/run/a:b", "::1", 0, { socket: "/run/a:b" }],
  ])("reads %s", (...[text, host, localPort, target]) => {
    expect(parseForwarding(text)).toEqual({ host, localPort, target });
  });

  it.each([
    "",
    "0",
    ":",
    "80:",
    ":80",
    "80:0",
    "65536",
    "80:65536",
    "65536:80",
    "a:80",
    "1:2:3:4",
    "/run/x",

    "8080:x",
  ])("refuses %j", (text) => {
    expect(() => parseForwarding(text)).toThrow(expect.objectContaining({ code: "input/invalid" }));
  });
});
