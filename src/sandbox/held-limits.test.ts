import { expect, it } from "vitest";
import { requireHeld, unheldLimits } from "./held-limits.ts";

const NONE = { version: 1, roots: new Map() } as const;
const SOME = { version: 1, roots: new Map([["memory", "/sys/fs/cgroup/memory"]] as const) } as const;

it.each([
  [{ memoryBytes: 1e9 }, "limits.memoryBytes"],
  [{ pids: 10 }, "limits.pids"],
  [{ cpus: 0.5 }, "limits.cpus"],
])("%j is refused where nothing holds it", (limits, field) => {
  expect(() => requireHeld(NONE, limits)).toThrow(expect.objectContaining({ code: "host/missing", field }));
});

it("goes by the controller of each limit", () => {
  expect(() => requireHeld(SOME, { memoryBytes: 1e9 })).not.toThrow();
  expect(() => requireHeld(SOME, { memoryBytes: 1e9, pids: 10 })).toThrow("pids");
  expect(() => requireHeld({ version: 2, root: "/sys/fs/cgroup" }, { memoryBytes: 1e9, pids: 10 })).not.toThrow();
});

it("does not ask for what nobody asked for", () => {
  expect(() => requireHeld(NONE)).not.toThrow();
  expect(() => requireHeld(NONE, {})).not.toThrow();
});

it("knows what is not held", () => {
  expect(unheldLimits(NONE)).toEqual(["memoryBytes", "pids", "cpus", "cpuWeight"]);
  expect(unheldLimits(SOME)).toEqual(["pids", "cpus", "cpuWeight"]);
  expect(unheldLimits({ version: 2, root: "/sys/fs/cgroup" })).toEqual([]);
});
