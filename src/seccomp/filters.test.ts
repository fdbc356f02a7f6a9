import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { CAPABILITIES } from "../model/capabilities.ts";
import type { SeccompProfile } from "../model/seccomp.ts";
import { SeccompFilters } from "./filters.ts";

const HOST = { arch: process.arch, kernel: "6.18.0", capabilities: new Set(CAPABILITIES), cgroupVersion: 1 } as const;
/** How many profiles are kept. */
const KEPT = 64;

let directory: string;
let filters: SeccompFilters;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plybox-filters-"));
  filters = new SeccompFilters(HOST, directory);
});
afterEach(() => rmSync(directory, { recursive: true }));

/** One that refuses chroot in a way of its own. */
const refusing = (errnoRet?: number): SeccompProfile => ({
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["chroot"], action: "SCMP_ACT_ERRNO", ...(errnoRet !== undefined && { errnoRet }) }],
});
const EPERM = 1;

const leaseFor = (seccomp: SeccompProfile | "default" | "unconfined") =>
  filters.leaseFor({ seccomp, allowPrivilegeEscalation: false });

async function planFor(seccomp: SeccompProfile | "default" | "unconfined") {
  using lease = leaseFor(seccomp);
  return await lease.plan();
}

async function pathOf(seccomp: SeccompProfile): Promise<string> {
  return (await planFor(seccomp))?.sandbox ?? "";
}

/** As many other profiles as are given. */
async function compileOthers(count: number, first: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => planFor(refusing(first + index))));
}

const files = (): readonly string[] => readdirSync(directory).sort();

it("a plan names files of whole programs, which are called after what they hold", async () => {
  const { sandbox = "", commands = "" } = (await planFor({ defaultAction: "SCMP_ACT_ERRNO" })) ?? {};
  expect(files()).toEqual([basename(sandbox), basename(commands)].sort());
  for (const path of [sandbox, commands]) {
    const program = readFileSync(path);
    expect(program.length).toBeGreaterThan(0);
    expect(program.length % 8).toBe(0);
    expect(path).toBe(join(directory, `${createHash("sha256").update(program).digest("hex")}.bpf`));
    expect(statSync(path).mode & 0o777).toBe(0o600);
  }
});

it("a profile is compiled once, and what is unconfined has no file", async () => {
  expect(await planFor("unconfined")).toBeUndefined();
  expect(files()).toEqual([]);
  const [one, two] = await Promise.all([planFor("default"), planFor("default")]);
  const { ino } = statSync(one?.sandbox ?? "");
  expect(two).toEqual(one);
  expect(statSync((await planFor("default"))?.sandbox ?? "").ino).toBe(ino);
});

it("what cannot be compiled is refused each time, and leaves nothing", async () => {
  const contradiction = { ...refusing(), syscalls: [{ names: ["no_such_call"], action: "SCMP_ACT_ERRNO" }] } as const;
  for (let time = 0; time < 2; time++) {
    await expect(planFor(contradiction)).rejects.toMatchObject({ code: "input/invalid", field: "seccomp" });
  }
  expect(files()).toEqual([]);
});

it("the oldest profiles go with their files, but for what another has too", async () => {
  const shared = await pathOf(refusing());
  expect(await pathOf(refusing(EPERM))).toBe(shared);
  await compileOthers(KEPT - 1, 2);
  expect(files()).toHaveLength(KEPT);
  expect(files()).toContain(basename(shared));
  await compileOthers(1, 1000);
  expect(files()).toHaveLength(KEPT);
  expect(files()).not.toContain(basename(shared));
  expect(await pathOf(refusing())).toBe(shared);
  expect(files()).toContain(basename(shared));
});

it("the file of a plan stays while somebody has a lease of it", async () => {
  const first = leaseFor(refusing());
  const path = (await first.plan())?.sandbox ?? "";
  await compileOthers(KEPT + 3, 2);
  expect(files()).toHaveLength(KEPT);
  expect(files()).toContain(basename(path));
  first[Symbol.dispose]();
  await compileOthers(1, 1000);
  expect(files()).not.toContain(basename(path));
});

it("a lease that is given back while it compiles writes nothing", async () => {
  leaseFor(refusing())[Symbol.dispose]();
  await compileOthers(KEPT, 2);
  expect(files()).toHaveLength(KEPT);
});

it("a file that somebody removed is there again in the next plan", async () => {
  const path = await pathOf(refusing());
  const program = readFileSync(path);
  rmSync(path);
  expect(await pathOf(refusing())).toBe(path);
  expect(readFileSync(path)).toEqual(program);
});
