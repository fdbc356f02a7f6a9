import { describe, expect, it } from "vitest";
import { parseConfig } from "./config.ts";

const KEYS = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };

describe("the settings of object storage", () => {
  it("have defaults for all but the bucket", () => {
    expect(parseConfig({ PLYBOX_REMOTE: "s3://layers", HOME: "/home/u" }).remote).toEqual({
      ...{ endpoint: "https://s3.us-east-1.amazonaws.com", region: "us-east-1", bucket: "layers", prefix: "" },
      credentials: { kind: "file", path: "/home/u/.aws/credentials", profile: "default" },
      ...{ pushes: false, pulls: true, sandboxes: false },
    });
  });

  it("take the names that the tools of S3 have for them, after their own", () => {
    const env = {
      PLYBOX_REMOTE: "s3://layers/team/a",
      ...KEYS,
      AWS_REGION: "eu-1",
      AWS_ENDPOINT_URL: "http://b:9000/",
    };
    expect(parseConfig(env).remote).toMatchObject({
      ...{ endpoint: "http://b:9000", region: "eu-1", bucket: "layers", prefix: "team/a" },
      credentials: { kind: "given", accessKeyId: "id", secretAccessKey: "secret" },
    });
    const file = 'remote = "s3://layers"\nremoteEndpoint = "http://a:9000"\nremotePush = "true"\nremotePull = "false"';
    const { remote } = parseConfig({ ...KEYS, PLYBOX_REMOTE: "s3://layers", PLYBOX_REMOTE_SANDBOXES: "true" });
    expect(remote).toMatchObject({ sandboxes: true });
    expect(parseConfig({ ...KEYS, AWS_ENDPOINT_URL: "http://b:9000" }, file).remote).toMatchObject({
      ...{ endpoint: "http://a:9000", pushes: true, pulls: false },
    });
    const shared = { AWS_SHARED_CREDENTIALS_FILE: "/etc/s3", AWS_PROFILE: "team" };
    expect(parseConfig({ PLYBOX_REMOTE: "s3://layers", ...shared }).remote?.credentials).toEqual({
      ...{ kind: "file", path: "/etc/s3", profile: "team" },
    });
  });

  it.each<[NodeJS.ProcessEnv, string]>([
    [{ PLYBOX_REMOTE: "http://layers" }, "remote is s3://BUCKET or s3://BUCKET/PREFIX"],
    [{ PLYBOX_REMOTE: "s3://layers/../other" }, "remote is s3://BUCKET or s3://BUCKET/PREFIX"],
    [{ PLYBOX_REMOTE: "s3://layers/a?b" }, "remote is s3://BUCKET or s3://BUCKET/PREFIX"],
    [{ PLYBOX_REMOTE: "s3://layers", PLYBOX_REMOTE_PUSH: "yes" }, "remotePush is true or false"],
    [{ PLYBOX_REMOTE: "s3://layers", PLYBOX_REMOTE_SANDBOXES: "yes" }, "remoteSandboxes is true or false"],
    [
      {
        ...{ PLYBOX_REMOTE: "s3://layers", PLYBOX_REMOTE_SANDBOXES: "true" },
        ...{ PLYBOX_REQUIRE_SIGNATURES: "true", PLYBOX_TRUSTED_KEYS: "/key.pem" },
      },
      "remoteSandboxes cannot be had with requireSignatures",
    ],
    [{ PLYBOX_REMOTE: "s3://layers", PLYBOX_REMOTE_ENDPOINT: "b:9000" }, "remoteEndpoint is an address"],
    [{ PLYBOX_REMOTE: "s3://layers", PLYBOX_REMOTE_ENDPOINT: "http://u:p@b" }, "remoteEndpoint is an address"],
    [{ PLYBOX_REMOTE: "s3://layers", PLYBOX_REMOTE_REGION: "here!" }, "remoteRegion is a name"],
    [{ PLYBOX_REMOTE_PUSH: "true" }, "remotePush means nothing without remote"],
  ])("are refused as %o", (env, message) => {
    expect(() => parseConfig(env)).toThrow(message);
  });
});
