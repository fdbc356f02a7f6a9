import { describe, expect, it } from "vitest";
import { parseConfig } from "./config.ts";

describe("parseConfig", () => {
  it("has a default for everything", () => {
    expect(parseConfig({})).toEqual({
      stateDir: "/var/lib/plybox",
      runDir: "/run/plybox",
      socket: "/run/plybox/plybox.sock",
      listen: null,
      tokenFile: "/var/lib/plybox/token",
      logLevel: "warn",
    });
  });

  it("keeps the socket with the run directory, and the token with the state", () => {
    expect(parseConfig({ PLYBOX_RUN_DIR: "/a", PLYBOX_STATE_DIR: "/b" })).toMatchObject({
      socket: "/a/plybox.sock",
      tokenFile: "/b/token",
    });
  });

  it("puts the environment before the file, and takes an empty variable for none", () => {
    const file = 'socket = "/file.sock"\nlogLevel = "debug"\n';
    expect(parseConfig({ PLYBOX_SOCKET: "/env.sock", PLYBOX_LOG_LEVEL: "" }, file)).toMatchObject({
      socket: "/env.sock",
      logLevel: "debug",
    });
  });

  it.each([
    ["7070", { host: "127.0.0.1", port: 7070 }],
    ["0.0.0.0:80", { host: "0.0.0.0", port: 80 }],
    ["[::1]:0", { host: "::1", port: 0 }],
  ])("listens on %s", (text, listen) => {
    expect(parseConfig({ PLYBOX_LISTEN: text }).listen).toEqual(listen);
  });

  it.each([
    [{ PLYBOX_LISTEN: "localhost" }, "", "listen is HOST:PORT"],
    [{ PLYBOX_LISTEN: "a:65536" }, "", "listen is HOST:PORT"],
    [{ PLYBOX_LOG_LEVEL: "loud" }, "", "logLevel must be one of trace, debug"],
    [{}, 'statedir = "/x"', "statedir is not known"],
    [{}, "stateDir = 5", "stateDir must be a text"],
    [{}, 'stateDir = ""', "stateDir must be a text"],
    [{}, "[stateDir]", "stateDir must be a text"],
    [{}, "not toml", "configuration: "],
  ])("refuses %j %j", (env, toml, message) => {
    expect(() => parseConfig(env, toml)).toThrow(message);
  });

  it("cannot be changed", () => {
    expect(Object.isFrozen(parseConfig({}))).toBe(true);
  });
});
