import { describe, expect, it } from "vitest";
import { parseConfigFile } from "./image-config.ts";

const parse = (config: object | null = null) =>
  parseConfigFile({ os: "linux", architecture: "amd64", config, rootfs: { diff_ids: null } }).config;

describe("an image's configuration", () => {
  it("is what a sandbox has by default", () => {
    const config = parse({
      ...{ Env: ["PATH=/bin", "EQUAL=a=b", "EMPTY=", "UNSET", "=x"], WorkingDir: "srv", User: "app:1000" },
      ...{
        Entrypoint: ["/init", "-x"],
        Cmd: ["run"],
        ExposedPorts: { "80/tcp": {}, "53/udp": {} },
        Labels: { a: "b" },
      },
      ...{ Volumes: { "/data": {} }, Unknown: 1 },
    });
    expect(config).toEqual({
      env: { PATH: "/bin", EQUAL: "a=b", EMPTY: "" },
      ...{ workingDir: "/srv", user: "app:1000", entrypoint: ["/init", "-x"], cmd: ["run"] },
      ...{ exposedPorts: ["53/udp", "80/tcp"], labels: { a: "b" } },
    });
  });

  it("may say nothing", () => {
    const nothing = {
      ...{ env: {}, workingDir: null, user: null, entrypoint: [], cmd: [], exposedPorts: [], labels: {} },
    };
    expect(parse()).toEqual(nothing);
    expect(parse({ Env: null, Cmd: null, User: "", WorkingDir: "", ExposedPorts: null, Labels: null })).toEqual(
      nothing,
    );
  });

  it.each([
    { Env: ["A=\0"] },
    { Env: [1] },
    { Env: {} },
    { Env: [`A=${"x".repeat(1024 ** 2)}`] },
    { Cmd: "sh" },
    { Entrypoint: [null] },
    { User: "a b" },
    { User: "../x" },
    { User: 0 },
    { WorkingDir: "/a\0b" },
    { WorkingDir: `/${"a".repeat(5000)}` },
    { Labels: { a: 1 } },
    { ExposedPorts: "80" },
  ])("is refused where it says %j", (config) => {
    expect(() => parse(config)).toThrow(expect.objectContaining({ code: "image/invalid" }));
  });
});
