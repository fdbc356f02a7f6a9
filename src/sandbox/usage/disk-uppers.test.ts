import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sandboxRecord } from "../../../test/support/sandbox-record.ts";
import type { Deferred } from "../../base/deferred.ts";
import { deferred } from "../../base/deferred.ts";
import { DiskUppers } from "./disk-uppers.ts";

interface Walk {
  readonly path: string;
  readonly signal: AbortSignal;
  readonly end: Deferred<number | null>;
}

let nowMs: number;
let walks: Walk[];
let uppers: DiskUppers;

beforeEach(() => {
  nowMs = 0;
  walks = [];
  uppers = new DiskUppers({
    pathOf: ({ id }) => `/uppers/${id}`,
    now: () => nowMs,
    measure: (path, { signal }) => {
      const end = deferred<number | null>();
      signal.addEventListener("abort", () => end.reject(signal.reason));
      walks.push({ path, signal, end });
      return end.promise;
    },
  });
});
afterEach(() => uppers.close());

const turn = () => new Promise(setImmediate);
const sandboxOf = () => sandboxRecord({ upper: { kind: "disk" } });

/** Ends the walk that is under way, `tookMs` after it began. */
async function end(bytes: number | null, tookMs = 0): Promise<void> {
  nowMs += tookMs;
  walks.at(-1)?.end.resolve(bytes);
  await turn();
}

describe("an upper on disk", () => {
  it("is measured when somebody asks, and told to who asks later", async () => {
    const sandbox = sandboxOf();
    expect(uppers.figure(sandbox)).toBeUndefined();
    expect(uppers.figure(sandbox)).toBeUndefined();
    expect(walks.map(({ path }) => path)).toEqual([`/uppers/${sandbox.id}`]);
    await end(4096);
    expect(uppers.figure(sandbox)).toEqual({ bytes: 4096, measuredAt: expect.any(Date) });
  });

  it("is measured once a minute at most, and the old figure told meanwhile", async () => {
    const sandbox = sandboxOf();
    uppers.figure(sandbox);
    await end(1);
    nowMs = 59_999;
    uppers.figure(sandbox);
    expect(walks).toHaveLength(1);
    nowMs = 60_000;
    expect(uppers.figure(sandbox)?.bytes).toBe(1);
    expect(walks).toHaveLength(2);
    await end(2);
    expect(uppers.figure(sandbox)?.bytes).toBe(2);
  });

  it("rests ten times as long as its measurement took", async () => {
    const sandbox = sandboxOf();
    uppers.figure(sandbox);
    await end(1, 30_000);
    nowMs += 299_999;
    uppers.figure(sandbox);
    expect(walks).toHaveLength(1);
    nowMs += 1;
    uppers.figure(sandbox);
    expect(walks).toHaveLength(2);
  });

  it("has no bytes where it is too large or cannot be read, and is not tried again at once", async () => {
    const [large, unreadable] = [sandboxOf(), sandboxOf()];
    uppers.figure(large);
    uppers.figure(unreadable);
    await end(null);
    walks.at(-1)?.end.reject(new Error("EIO"));
    await turn();
    expect([uppers.figure(large)?.bytes, uppers.figure(unreadable)?.bytes]).toEqual([null, null]);
    expect(walks).toHaveLength(2);
  });
});

describe("several uppers", () => {
  it("are measured one at a time, those without a figure first", async () => {
    const [old, first, second] = [sandboxOf(), sandboxOf(), sandboxOf()];
    uppers.figure(old);
    await end(1);
    nowMs = 60_000;
    for (const sandbox of [first, old, second]) uppers.figure(sandbox);
    expect(walks).toHaveLength(2);
    await end(1);
    await end(1);
    await end(1);
    expect(walks.map(({ path }) => path)).toEqual([old, first, second, old].map(({ id }) => `/uppers/${id}`));
  });

  it("lose their place when their sandbox goes, also the one that is measured", async () => {
    const [one, two, three] = [sandboxOf(), sandboxOf(), sandboxOf()];
    for (const sandbox of [one, two, three]) uppers.figure(sandbox);
    uppers.forget(two.id);
    uppers.forget(one.id);
    uppers.forget(sandboxOf().id);
    await turn();
    expect(walks.map(({ path, signal }) => [path, signal.aborted])).toEqual([
      [`/uppers/${one.id}`, true],
      [`/uppers/${three.id}`, false],
    ]);
  });

  it("are left alone after the end", async () => {
    const [one, two] = [sandboxOf(), sandboxOf()];
    uppers.figure(one);
    uppers.figure(two);
    await uppers.close();
    expect(uppers.figure(one)).toBeUndefined();
    expect(walks.map(({ signal }) => signal.aborted)).toEqual([true]);
  });
});
