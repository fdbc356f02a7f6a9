import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newSandboxId } from "../model/ids.ts";
import type { CgroupLayout } from "./cgroup-layout.ts";
import { findCgroups, findFreezer, parentsOf, planCgroups, prepareCgroups } from "./cgroup-layout.ts";

/** Stands in for the root of a version 2 hierarchy: what is read there are plain files. */
let unified: string;

beforeEach(() => {
  unified = mkdtempSync(join(tmpdir(), "plybox-cgroup-"));
});
afterEach(() => rmSync(unified, { recursive: true, force: true }));

const V1 = [
  "sysfs /sys sysfs rw,nosuid 0 0",
  "cgroup /sys/fs/cgroup/cpuset cgroup rw,nosuid,cpuset 0 0",
  "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0",
  "cgroup /sys/fs/cgroup/memory cgroup rw,nosuid,memory 0 0",
  "cgroup /sys/fs/cgroup/pids cgroup rw,nosuid,pids 0 0",
].join("\n");
const V1_ROOTS = new Map([
  ["cpu", "/sys/fs/cgroup/cpu,cpuacct"],
  ["memory", "/sys/fs/cgroup/memory"],
  ["pids", "/sys/fs/cgroup/pids"],
]);

const mountOfUnified = (): string => `cgroup2 ${unified} cgroup2 rw,nosuid 0 0`;
const enable = (controllers: string): void => writeFileSync(join(unified, "cgroup.controllers"), `${controllers}\n`);

describe("findCgroups", () => {
  it("finds a hierarchy for each controller of version 1", () => {
    expect(findCgroups(V1)).toEqual({ version: 1, roots: V1_ROOTS });
  });

  it("finds version 2 that has all controllers", () => {
    enable("cpuset cpu io memory pids");
    expect(findCgroups(mountOfUnified())).toEqual({ version: 2, root: unified });
  });

  it.each(["", "memory pids", "cpuset memory pids"])("stays with version 1 where version 2 has only '%s'", (words) => {
    enable(words);
    expect(findCgroups(`${mountOfUnified()}\n${V1}`)).toEqual({ version: 1, roots: V1_ROOTS });
  });

  it("prefers version 2 in whatever order the two are mounted", () => {
    enable("cpu memory pids");
    expect(findCgroups(`${V1}\n${mountOfUnified()}`)).toEqual({ version: 2, root: unified });
  });

  it("finds the accounting of processor time where it has a hierarchy of its own", () => {
    const apart = V1.replaceAll("cpu,cpuacct", "cpu");
    const own = "cgroup /sys/fs/cgroup/cpuacct cgroup rw,nosuid,cpuacct 0 0";
    const roots = new Map([...V1_ROOTS, ["cpu", "/sys/fs/cgroup/cpu"], ["cpuacct", "/sys/fs/cgroup/cpuacct"]]);
    expect(findCgroups(`${apart}\n${own}`)).toEqual({ version: 1, roots });
  });

  it("takes the first mount of a hierarchy: a later one may show only a part of it", () => {
    const part = "cgroup /srv/inner/memory cgroup rw,memory 0 0";
    expect(findCgroups(`${V1}\n${part}`)).toEqual({ version: 1, roots: V1_ROOTS });
  });

  it("finds nothing to hold limits on a machine without cgroups", () => {
    expect(findCgroups("sysfs /sys sysfs rw 0 0\n")).toEqual({ version: 1, roots: new Map() });
  });
});

describe("planCgroups", () => {
  const id = newSandboxId();
  const limits = { memoryBytes: 536_870_912, pids: 100, cpus: 1.5, cpuWeight: 50 };
  const v2 = (): CgroupLayout => ({ version: 2, root: unified });

  it("holds each limit in its own hierarchy of version 1", () => {
    const below = (root: string): string => `/sys/fs/cgroup/${root}/plybox/${id}`;
    expect(planCgroups(findCgroups(V1), "plybox", id, limits)).toEqual([
      {
        path: below("cpu,cpuacct"),
        version: 1,
        set: [
          ["cpu.cfs_period_us", "100000"],
          ["cpu.cfs_quota_us", "150000"],
          ["cpu.shares", "512"],
        ],
        roles: [],
      },
      { path: below("memory"), version: 1, set: [["memory.limit_in_bytes", "536870912"]], roles: ["memory"] },
      { path: below("pids"), version: 1, set: [["pids.max", "100"]], roles: ["track"] },
    ]);
  });

  it("holds all limits in one cgroup of version 2", () => {
    expect(planCgroups(v2(), "plybox", id, limits)).toEqual([
      {
        path: join(unified, "plybox", id),
        version: 2,
        set: [
          ["memory.max", "536870912"],
          ["pids.max", "100"],
          ["cpu.max", "150000 100000"],
          ["cpu.weight", "50"],
        ],
        roles: ["track", "memory"],
      },
    ]);
  });

  it.each([
    ["1", () => findCgroups(V1)],
    ["2", v2],
  ])("makes the same cgroups of version %s without limits, and sets nothing", (_, layout) => {
    const unlimited = planCgroups(layout(), "plybox", id, limits).map((cgroup) => ({ ...cgroup, set: [] }));
    expect(planCgroups(layout(), "plybox", id)).toEqual(unlimited);
  });

  it("leaves a sandbox no swap where the kernel counts it", () => {
    prepareCgroups(v2(), "plybox");
    writeFileSync(join(unified, "plybox/memory.swap.max"), "max");
    const [cgroup] = planCgroups(v2(), "plybox", id, limits);
    expect(cgroup?.set).toContainEqual(["memory.swap.max", "0"]);
  });

  it("leaves a sandbox no swap on version 1 either", () => {
    const layout: CgroupLayout = { version: 1, roots: new Map([["memory", unified]]) };
    prepareCgroups(layout, "plybox");
    const [before] = planCgroups(layout, "plybox", id, limits);
    expect(before?.set).toEqual([["memory.limit_in_bytes", "536870912"]]);
    writeFileSync(join(unified, "plybox/memory.memsw.limit_in_bytes"), "max");
    const [cgroup] = planCgroups(layout, "plybox", id, limits);
    // In this order: the limit of both may not be below that of memory.
    expect(cgroup?.set).toEqual([
      ["memory.limit_in_bytes", "536870912"],
      ["memory.memsw.limit_in_bytes", "536870912"],
    ]);
  });

  it.each([
    [1, "10"],
    [100, "1024"],
    [10_000, "102400"],
  ])("gives version 1 for a weight of %d %s shares", (cpuWeight, shares) => {
    const cgroups = planCgroups(findCgroups(V1), "plybox", id, { ...limits, cpuWeight });
    expect(cgroups.flatMap(({ set }) => [...set])).toContainEqual(["cpu.shares", shares]);
  });

  it("asks for no smaller quota than the kernel takes, which is 1 ms", () => {
    const [cgroup] = planCgroups(v2(), "plybox", id, { ...limits, cpus: 0.001 });
    expect(cgroup?.set).toContainEqual(["cpu.max", "1000 100000"]);
  });
});

describe("findFreezer", () => {
  const freezer = "cgroup /sys/fs/cgroup/freezer cgroup rw,nosuid,freezer 0 0";

  it("is the freezer's own hierarchy in version 1, below the same parent", () => {
    const layout = findCgroups(`${V1}\n${freezer}`);
    const place = { version: 1, directory: "/sys/fs/cgroup/freezer/plybox" };
    expect(findFreezer(`${V1}\n${freezer}`, layout, "plybox")).toEqual(place);
    expect(parentsOf(layout, "plybox", findFreezer(`${V1}\n${freezer}`, layout, "plybox"))).toContain(
      "/sys/fs/cgroup/freezer/plybox",
    );
  });

  it("is none where version 1 has no such hierarchy", () => {
    const layout = findCgroups(V1);
    expect(findFreezer(V1, layout, "plybox")).toBeUndefined();
    expect(parentsOf(layout, "plybox", undefined)).toHaveLength(V1_ROOTS.size);
  });

  it("is built into version 2", () => {
    expect(findFreezer(freezer, { version: 2, root: "/sys/fs/cgroup" }, "plybox")).toEqual({ version: 2 });
  });
});
