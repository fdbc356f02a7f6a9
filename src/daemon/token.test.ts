import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readOrMakeToken } from "./token.ts";

let directory: string;
let file: string;
let mask: number;

beforeEach(() => {
  // The widest mask: the mode that is seen is the one that was asked for.
  mask = process.umask(0);
  directory = mkdtempSync(join(tmpdir(), "plybox-token-"));
  file = join(directory, "token");
});
afterEach(() => {
  process.umask(mask);
  rmSync(directory, { recursive: true, force: true });
});

it("makes a token of 256 bits that its owner alone can read, and nothing beside it", async () => {
  const token = await readOrMakeToken(file);
  expect(Buffer.from(token, "base64url")).toHaveLength(32);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(["token"]);
});

it("reads the same token again", async () => {
  const made = await readOrMakeToken(file);
  expect(await readOrMakeToken(file)).toBe(made);
});

it("makes another token in another place", async () => {
  expect(await readOrMakeToken(file)).not.toBe(await readOrMakeToken(join(directory, "other")));
});

it("reads the token of a user, without the space around it", async () => {
  writeFileSync(file, " sixteen-letters!\n");
  expect(await readOrMakeToken(file)).toBe("sixteen-letters!");
});

it.each(["", "\n", "fifteen-letters", `${" ".repeat(20)}\n`])(
  "refuses %j and leaves the file as it is",
  async (text) => {
    writeFileSync(file, text);
    await expect(readOrMakeToken(file)).rejects.toMatchObject({ code: "input/invalid", field: "tokenFile" });
    expect(readFileSync(file, "utf8")).toBe(text);
  },
);

it("says what else keeps it from reading", async () => {
  // A directory, since nothing else keeps root from reading a file.
  await expect(readOrMakeToken(directory)).rejects.toMatchObject({ code: "EISDIR" });
});
