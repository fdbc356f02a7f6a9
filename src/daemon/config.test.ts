import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadConfig, parseConfig } from "./config.ts";

describe("parseConfig", () => {
  it("knows what programs are told that speak to the network, and nothing else", () => {
    const { networkEnvironment } = parseConfig({
      HTTPS_PROXY: "http://proxy:3128",
      HOME: "/root",
      SECRET: "x",
      NO_PROXY: "",
    });
    expect(networkEnvironment).toEqual({ HTTPS_PROXY: "http://proxy:3128", HOME: "/root" });
  });

  it("has a default for everything", () => {
    expect(parseConfig({})).toEqual({
      stateDir: "/var/lib/plybox",
      runDir: "/run/plybox",
      socket: "/run/plybox/plybox.sock",
      listen: null,
      tokenFile: "/var/lib/plybox/token",
      portDomain: null,
      logLevel: "warn",
      otlpEndpoint: null,
      networkEnvironment: {},
      sandboxMetrics: false,
      layerBounds: { inodes: 4_194_304, unpackedBytes: 68_719_476_736 },
      layerBudget: null,
      trustedKeys: [],
      requireSignatures: false,
      remote: null,
      poolBytes: { memory: null, disk: null },
      layerPackings: {
        format: "squashfs",
        squashfs: { algorithm: "zstd", level: 15, blockBytes: 131_072 },
        erofs: { algorithm: "lz4", level: null, blockBytes: 131_072 },
      },
      keepUnpacked: 64,
      pressure: { high: 80, critical: 95 },
      snapshotPackings: {
        format: "squashfs",
        squashfs: { algorithm: "zstd", level: 3, blockBytes: 131_072 },
        erofs: { algorithm: "lz4", level: null, blockBytes: 131_072 },
      },
    });
  });

  it("takes where spans go from the variable that every program has for it", () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318", PLYBOX_SANDBOX_METRICS: "true" };
    expect(parseConfig(env)).toMatchObject({ otlpEndpoint: "http://127.0.0.1:4318", sandboxMetrics: true });
    expect(parseConfig({}, 'sandboxMetrics = "true"')).toMatchObject({ sandboxMetrics: true });
  });

  it("takes trusted keys from the variable and the file, as absolute paths", () => {
    const env = { PLYBOX_TRUSTED_KEYS: "/etc/a.pem:/etc/b.pem", PLYBOX_REQUIRE_SIGNATURES: "true" };
    expect(parseConfig(env)).toMatchObject({ trustedKeys: ["/etc/a.pem", "/etc/b.pem"], requireSignatures: true });
    expect(parseConfig({}, 'trustedKeys = "/etc/a.pem"')).toMatchObject({ requireSignatures: false });
  });

  it("takes a budget in any unit", () => {
    expect(parseConfig({ PLYBOX_LAYER_BUDGET: "20g" }).layerBudget).toBe(20 * 1024 ** 3);
    expect(parseConfig({}, 'layerBudget = "4096"').layerBudget).toBe(4096);
  });

  it("takes how images are packed from the variables that are known for it, and from the file", () => {
    const env = { SQUASH_COMP: "gzip", SQUASH_COMP_LEVEL: "4", SQUASH_BLOCK_SIZE: "64K" };
    const gzip = { algorithm: "gzip", level: 4, blockBytes: 65_536 };
    expect(parseConfig(env)).toMatchObject({ layerPackings: { squashfs: gzip }, snapshotPackings: { squashfs: gzip } });
    const file = 'layerFormat = "erofs"\nerofsComp = "lz4"\nerofsBlockSize = "1M"\nsquashComp = "xz"\n';
    expect(parseConfig({ SQUASH_COMP: "lz4" }, file)).toMatchObject({
      layerPackings: {
        format: "erofs",
        erofs: { algorithm: "lz4", level: null, blockBytes: 1_048_576 },
        squashfs: { algorithm: "lz4", level: null, blockBytes: 131_072 },
      },
      keepUnpacked: 64,
      pressure: { high: 80, critical: 95 },
      snapshotPackings: { format: "squashfs" },
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
    ["[::1]:80", { host: "::1", port: 80 }],
    ["localhost:0", { host: "localhost", port: 0 }],
  ])("listens on %s", (text, listen) => {
    expect(parseConfig({ PLYBOX_LISTEN: text }).listen).toEqual(listen);
  });

  it.each([
    [{ PLYBOX_LISTEN: "localhost" }, "", "listen", "listen is HOST:PORT"],
    [{ PLYBOX_LISTEN: "a:65536" }, "", "listen", "listen is HOST:PORT"],
    [{ PLYBOX_LISTEN: "a:-1" }, "", "listen", "listen is HOST:PORT"],
    [{ PLYBOX_LISTEN: ":80" }, "", "listen", "listen is HOST:PORT"],
    [{ PLYBOX_LISTEN: "[]:80" }, "", "listen", "listen is HOST:PORT"],
    [{ PLYBOX_PORT_DOMAIN: "box..test" }, "", "portDomain", "portDomain is a domain"],
    [{ PLYBOX_PORT_DOMAIN: "box.test:80" }, "", "portDomain", "portDomain is a domain"],
    [{ PLYBOX_LOG_LEVEL: "loud" }, "", "logLevel", "logLevel must be one of trace, debug"],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318" }, "", "otlpEndpoint", "otlpEndpoint is an address"],
    [{ PLYBOX_SANDBOX_METRICS: "yes" }, "", "sandboxMetrics", "sandboxMetrics is true or false"],
    [{ PLYBOX_LAYER_INODES: "many" }, "", "layerInodes", "layerInodes is a number of 1 or more"],
    [{ PLYBOX_LAYER_BYTES: "0" }, "", "layerBytes", "layerBytes is a number of 1 or more"],
    [{ PLYBOX_REQUIRE_SIGNATURES: "true" }, "", "requireSignatures", "requireSignatures needs trustedKeys"],
    [{ PLYBOX_REQUIRE_SIGNATURES: "yes" }, "", "requireSignatures", 'requireSignatures is true or false, not "yes"'],
    [{ PLYBOX_TRUSTED_KEYS: "/a::/b" }, "", "trustedKeys", "trustedKeys has an empty path; paths are separated by :"],
    [{}, 'requireSignature = "true"', "requireSignature", "requireSignature is not known"],
    [{ PLYBOX_LAYER_BUDGET: "much" }, "", "layerBudget", "layerBudget is bytes, or a number with K, M, G or T"],
    [{ PLYBOX_KEEP_UNPACKED: "0" }, "", "keepUnpacked", 'keepUnpacked is a number of 1 or more, not "0"'],
    [{ PLYBOX_PRESSURE_HIGH: "0" }, "", "pressureHigh", "pressureHigh is a percentage from 1 to 100"],
    [{ PLYBOX_PRESSURE_HIGH: "96" }, "", "pressureCritical", "pressureCritical is less than pressureHigh"],
    [{ PLYBOX_LAYER_FORMAT: "zip" }, "", "layerFormat", "layerFormat is squashfs or erofs"],
    [{ SQUASH_COMP: "lzma" }, "", "squashComp", "it has gzip, lz4, lzo, xz, zstd"],
    [{ SQUASH_COMP_LEVEL: "23" }, "", "squashCompLevel", "the level of zstd is 1 to 22 in squashfs, not 23"],
    [{ SQUASH_COMP: "xz", SQUASH_COMP_LEVEL: "6" }, "", "squashCompLevel", "xz has no levels"],
    [{ SQUASH_COMP_LEVEL: "fast" }, "", "squashCompLevel", "the level of zstd is 1 to 22"],
    [{ SQUASH_BLOCK_SIZE: "100K" }, "", "squashBlockSize", "a power of two of 4096 to 1048576 bytes, not 102400"],
    [{ SQUASH_BLOCK_SIZE: "2M" }, "", "squashBlockSize", "a power of two of 4096"],
    [{}, 'erofsComp = "gzip"', "erofsComp", "it has lz4, lz4hc, lzma, deflate, zstd"],
    [{}, 'statedir = "/x"', "statedir", "statedir is not known"],
    [{}, 'constructor = "/x"', "constructor", "constructor is not known"],
    [{}, "stateDir = 5", "stateDir", "stateDir must be a text"],
    [{}, 'stateDir = ""', "stateDir", "stateDir must be a text"],
    [{}, "[stateDir]", "stateDir", "stateDir must be a text"],
    [{}, "not toml", undefined, "configuration: "],
  ])("refuses %j %j", (env, toml, field, message) => {
    expect(() => parseConfig(env, toml)).toThrow(
      expect.objectContaining({ code: "input/invalid", field, message: expect.stringContaining(message) }),
    );
  });

  it("cannot be changed", () => {
    const config = parseConfig({ PLYBOX_LISTEN: "7070" });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.listen)).toBe(true);
  });
});

describe("loadConfig", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "plybox-config-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it("reads the file that PLYBOX_CONFIG names", () => {
    const file = join(directory, "plybox.toml");
    writeFileSync(file, 'runDir = "/file"\nstateDir = "/file"\n');
    expect(loadConfig({ PLYBOX_CONFIG: file, PLYBOX_STATE_DIR: "/env" })).toMatchObject({
      runDir: "/file",
      stateDir: "/env",
    });
  });

  it("refuses a file that is not there: it was named", () => {
    const file = join(directory, "missing.toml");
    expect(() => loadConfig({ PLYBOX_CONFIG: file })).toThrow(
      expect.objectContaining({ code: "input/invalid", message: expect.stringContaining(`cannot read ${file}`) }),
    );
  });
});
