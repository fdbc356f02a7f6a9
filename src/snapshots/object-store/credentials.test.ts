import { describe, expect, it } from "vitest";
import { parseCredentials, readCredentials } from "./credentials.ts";

const FILE = `# of the tools of S3
[default]
aws_access_key_id = first
aws_secret_access_key=s/e+cret=
[ other ]
; a comment
aws_access_key_id=second
aws_secret_access_key = secret\r
aws_session_token = token
[half]
aws_access_key_id = third
`;

describe("shared credentials", () => {
  it("are those of the profile", () => {
    expect(parseCredentials(FILE, "default")).toEqual({ accessKeyId: "first", secretAccessKey: "s/e+cret=" });
    expect(parseCredentials(FILE, "other")).toEqual({
      ...{ accessKeyId: "second", secretAccessKey: "secret", sessionToken: "token" },
    });
  });

  it.each([
    ["half", 'the profile "half" lacks a key'],
    ["nobody", 'no profile "nobody"'],
  ])("are refused for the profile %s", (profile, message) => {
    expect(() => parseCredentials(FILE, profile)).toThrow(message);
  });

  it("are missed by the name of their file", async () => {
    await expect(readCredentials({ kind: "file", path: "/nowhere/at/all", profile: "default" })).rejects.toMatchObject({
      code: "remote/refused",
      message: expect.stringContaining("/nowhere/at/all"),
    });
  });
});
