import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Workbox } from "../../support/workbox.ts";

const SOURCE = join(import.meta.dirname, "../../support/kernel-features.c");
/** The machine's own setting may refuse it to everybody. */
const OPENED_INSIDE = ["ping_sockets"];

const run = promisify(execFile);
let box: Workbox;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "plybox-features-"));
  const flags = ["-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-pthread"];
  await run("gcc", [...flags, "-o", join(directory, "features"), SOURCE, "-lutil", "-lrt"]);
  box = await Workbox.open();
  const program = readFileSync(join(directory, "features"));
  await box.sandbox.files.write("/srv/features/features", program, { parents: true, mode: 0o755 });
});
afterAll(async () => {
  await box[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** The features in the order in which the program tries them. */
const NAMES = [...readFileSync(SOURCE, "utf8").matchAll(/FEATURE\((\w+)\)[,}]/g)].map(([, name]) => name as string);

it("does inside all that it does outside, and pings", async () => {
  const outside = await run(join(directory, "features"), { cwd: directory });
  const unavailable = outside.stdout.split("\n").filter((line) => line !== "" && !line.endsWith(" ok"));
  expect(unavailable.filter((line) => !OPENED_INSIDE.some((name) => line.startsWith(name)))).toEqual([]);
  const inside = await box.run("mkdir work && cd work && /srv/features/features", { cwd: "/srv/features" });
  expect(inside.trim().split("\n")).toEqual(NAMES.map((name) => `${name} ok`));
  expect(NAMES.length).toBeGreaterThan(25);
});

it("does as much for an ordinary user but for what is root's alone", async () => {
  const roots = ["becoming_somebody_else", "changing_root"];
  const inside = await box.run("mkdir work && cd work && /srv/features/features", { user: "user", cwd: "/home/user" });
  const denied = inside
    .trim()
    .split("\n")
    .filter((line) => !line.endsWith(" ok"));
  expect(denied.map((line) => line.split(":")[0])).toEqual(roots);
  for (const line of denied) expect(line).toMatch(/Operation not permitted$/);
});
