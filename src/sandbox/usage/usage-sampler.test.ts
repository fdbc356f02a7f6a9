import { describe, expect, it, vi } from "vitest";
import { sandboxRecord } from "../../../test/support/sandbox-record.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { Usage } from "../../model/usage.ts";
import type { UpperFigure } from "./disk-uppers.ts";
import { UsageSampler, usageSeries } from "./usage-sampler.ts";

const USAGE: Usage = {
  ...{
    cpuMs: 0,
    memoryBytes: 1,
    memoryPeakBytes: 2,
    pids: 3,
    oomKills: 0,
    upperBytes: 4,
    network: null,
    pressure: null,
  },
};
const figures = new Map<string, UpperFigure>();
const running = () => sandboxRecord({ state: { kind: "running", pid: 1, startTime: 1 } });

function samplerOf(sandboxes: readonly Sandbox[], usage: (ref: string) => Usage | undefined = () => USAGE) {
  const get = (ref: string): Sandbox => {
    const found = sandboxes.find(({ id }) => id === ref);
    if (found === undefined) throw new PlyboxError("sandbox/not-found", "none");
    return found;
  };
  const disks = { figure: ({ id }: Sandbox) => figures.get(id) };
  return new UsageSampler({ list: () => [...sandboxes], get, usage }, disks);
}

describe("a sampler", () => {
  it("tells of sandboxes that run, and of no others", async () => {
    const [one, two, still] = [running(), running(), sandboxRecord()];
    const sampler = samplerOf([one, still, two]);
    expect((await sampler.all()).map(({ sandbox }) => sandbox)).toEqual([one.id, two.id]);
    expect(sampler.one(one.id)).toMatchObject({ ...USAGE, sandbox: one.id, tenant: "default", cores: null });
    expect(() => sampler.one(still.id)).toThrow(expect.objectContaining({ code: "sandbox/wrong-state" }));
    expect(() => sampler.one("nobody")).toThrow(expect.objectContaining({ code: "sandbox/not-found" }));
  });

  it("tells what an upper on disk was found to hold, and when; a tmpfs tells it now", () => {
    const disk = { ...running(), upper: { kind: "disk" } as const };
    const memory = running();
    const sampler = samplerOf([disk, memory]);
    expect(sampler.one(disk.id)).toMatchObject({ upperBytes: null, upperMeasuredAt: null });
    const measuredAt = new Date(1000);
    figures.set(disk.id, { bytes: 77, measuredAt });
    expect(sampler.one(disk.id)).toMatchObject({ upperBytes: 77, upperMeasuredAt: measuredAt });
    figures.set(disk.id, { bytes: null, measuredAt });
    expect(sampler.one(disk.id)).toMatchObject({ upperBytes: null, upperMeasuredAt: null });
    const inMemory = sampler.one(memory.id);
    expect(inMemory).toMatchObject({ upperBytes: 4, upperMeasuredAt: inMemory.at });
    const image = { ...running(), upper: { kind: "disk", bytes: 99 } as const };
    const inImage = samplerOf([image]).one(image.id);
    expect(inImage).toMatchObject({ upperBytes: 4, upperMeasuredAt: inImage.at, limits: { upperBytes: 99 } });
  });

  it("passes over a sandbox that is removed while others are read", async () => {
    const [one, gone] = [running(), running()];
    const sampler = samplerOf([gone, one], (ref) => {
      if (ref === gone.id) throw new PlyboxError("sandbox/not-found", "removed");
      return USAGE;
    });
    expect((await sampler.all()).map(({ sandbox }) => sandbox)).toEqual([one.id]);
  });

  it("reads once for all who ask at one time, and lets others have their turn in between", async () => {
    const usage = vi.fn(() => USAGE);
    const sampler = samplerOf(Array.from({ length: 100 }, running), usage);
    const [first, second] = [sampler.all(), sampler.all()];
    expect(usage.mock.calls.length).toBeLessThan(100);
    expect(await first).toBe(await second);
    expect(usage).toHaveBeenCalledTimes(100);
  });
});

it("a sandbox that was made just now is in the next reading", async () => {
  const sandboxes = [running()];
  const sampler = samplerOf(sandboxes);
  expect(await sampler.all()).toHaveLength(1);
  sandboxes.push(running());
  expect(await sampler.all()).toHaveLength(2);
});

describe("a series", () => {
  const at = (ms: number, cpuMs: number | null) => {
    const [sample] = [{ ...USAGE, cpuMs, sandbox: running().id, tenant: "default", name: null, cores: null }];
    const limits = { memoryBytes: 1, pids: 1, cpus: 1, upperBytes: null };
    return { ...sample, sandbox: SAME, limits, upperMeasuredAt: null, at: new Date(ms) };
  };
  const SAME = running().id;

  async function coresOf(samples: readonly ReturnType<typeof at>[]): Promise<(number | null)[]> {
    const left = [...samples];
    const abort = new AbortController();
    const cores: (number | null)[] = [];
    for await (const [sample] of usageSeries(() => left.splice(0, 1), 1, abort.signal)) {
      if (sample !== undefined) cores.push(sample.cores);
      if (left.length === 0) abort.abort();
    }
    return cores;
  }

  it("tells the cores in use between one sample and the next", async () => {
    expect(await coresOf([at(0, 100), at(1000, 600), at(2000, 2600)])).toEqual([null, 0.5, 2]);
  });

  it("tells the same again of the same reading, and nothing where time is not counted", async () => {
    expect(await coresOf([at(0, 100), at(1000, 600), at(1000, 600)])).toEqual([null, 0.5, 0.5]);
    expect(await coresOf([at(0, null), at(1000, 600)])).toEqual([null, null]);
  });

  it("ends with its signal, also while it waits", async () => {
    const abort = new AbortController();
    const series = usageSeries(() => [], 3_600_000, abort.signal);
    await series.next();
    const next = series.next();
    abort.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
