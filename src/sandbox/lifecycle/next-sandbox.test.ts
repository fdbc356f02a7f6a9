import { setImmediate } from "node:timers/promises";
import { beforeEach, expect, it } from "vitest";
import type { Ground } from "../../model/launch-plan.ts";
import { IdRanges, RANGE_SIZE } from "../id-ranges.ts";
import type { SandboxServiceOptions } from "./context.ts";
import { NextSandbox } from "./next-sandbox.ts";

const FIRST = 0x7000_0000;
const COUNT = 3;

let ids: IdRanges;
let expected: Ground[];
let next: NextSandbox;

beforeEach(() => {
  ids = new IdRanges(FIRST, COUNT);
  expected = [];
  next = nextOf(false);
});

function nextOf(dieWithLauncher: boolean): NextSandbox {
  const backend = { expect: async (ground: Ground) => void expected.push(ground) };
  const places = { cgroups: { version: 2, root: "/sys/fs/cgroup" }, cgroupParent: "plybox" };
  const log = { debug() {}, warn() {} };
  return new NextSandbox({ backend, places, ids, log, dieWithLauncher } as unknown as SandboxServiceOptions);
}

async function reserve(): Promise<void> {
  next.reserve();
  await setImmediate();
}

/** First ids of the ranges that nobody has. */
function free(): readonly number[] {
  const taken: number[] = [];
  for (;;) {
    try {
      taken.push(ids.take());
    } catch {
      for (const base of taken) ids.giveBack(base);
      return taken.sort();
    }
  }
}

const ALL = Array.from({ length: COUNT }, (_, i) => FIRST + i * RANGE_SIZE);

it("tells the backend of one identity, which the next sandbox has", async () => {
  await reserve();
  await reserve();
  const { id, idBase } = next.take();
  expect(expected).toHaveLength(1);
  expect(expected).toMatchObject([
    { ids: { base: idBase, count: RANGE_SIZE }, cgroups: [{ path: expect.stringContaining(id) }] },
  ]);
  expect(next.take().id).not.toBe(id);
});

it("keeps what is put back for the next, so that nothing has to be begun anew", async () => {
  await reserve();
  const taken = next.take();
  next.putBack(taken);
  await reserve();
  expect(next.take()).toBe(taken);
  expect(expected).toHaveLength(1);
});

it("gives back the ids of one of two that are put back, and of the other when it is closed", async () => {
  const [one, other] = [next.take(), next.take()];
  next.putBack(one);
  next.putBack(other);
  expect(free()).toEqual(ALL.filter((base) => base !== one.idBase));
  next.close();
  expect(free()).toEqual(ALL);
  next.reserve();
  await setImmediate();
  expect(free()).toEqual(ALL);
});

it("reserves nothing while all ids are in use, and says so to who asks", async () => {
  for (let i = 0; i < COUNT; i++) next.take();
  await reserve();
  expect(expected).toEqual([]);
  expect(() => next.take()).toThrow(expect.objectContaining({ code: "sandbox/too-many" }));
});

it("reserves nothing for the one sandbox of a process", async () => {
  next = nextOf(true);
  await reserve();
  expect(expected).toEqual([]);
  expect(free()).toEqual(ALL);
});
