import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { isAlive } from "../../base/process-mark.ts";
import { nativeProgram } from "../../native/programs.ts";
import { anchorFile, weighAnchor } from "./anchor.ts";

let runDir: string;

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), "plybox-anchor-"));
});
afterEach(() => {
  weighAnchor(runDir);
  rmSync(runDir, { recursive: true, force: true });
});

/** The user namespace that a program gets, which is the one that the anchor holds. */
const namespace = (): string =>
  execFileSync(
    nativeProgram("plylaunch"),
    ["--own-namespace", "--anchor", anchorFile(runDir), "--", "readlink", "/proc/self/ns/user"],
    { encoding: "utf8" },
  );
const mark = (): string => readFileSync(anchorFile(runDir), "utf8").trim();

it("holds the namespaces for who comes next, until it is ended", async () => {
  const held = namespace();
  expect(held).not.toBe(execFileSync("readlink", ["/proc/self/ns/user"], { encoding: "utf8" }));
  expect(namespace()).toBe(held);
  const anchor = mark();
  expect(isAlive(anchor)).toBe(true);
  weighAnchor(runDir);
  await expect.poll(() => isAlive(anchor)).toBe(false);
  expect(existsSync(anchorFile(runDir))).toBe(false);
});

it("is neither joined nor ended by the word of another boot", async () => {
  const held = namespace();
  const anchor = mark();
  const stale = anchor.replace(/[0-9a-f]{32}$/, "0".repeat(32));
  writeFileSync(anchorFile(runDir), `${stale}\n`);
  weighAnchor(runDir);
  expect(isAlive(anchor)).toBe(true);
  writeFileSync(anchorFile(runDir), `${stale}\n`);
  expect(namespace()).not.toBe(held);
  expect(mark()).not.toBe(anchor);
  weighAnchor(runDir);
  writeFileSync(anchorFile(runDir), `${anchor}\n`);
  weighAnchor(runDir);
  await expect.poll(() => isAlive(anchor)).toBe(false);
});
