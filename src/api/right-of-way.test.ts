import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ExecEvent } from "../model/exec.ts";
import { RightOfWay } from "./right-of-way.ts";

const KIB = 1024;
/** What a stream sends before it waits for anybody. */
const FREE = 1024 * KIB;
const DONE = { status: 200 };

const output = (bytes: number): ExecEvent => ({
  ...{ kind: "output", stream: "stdout", offset: 0, bytes: new Uint8Array(bytes) },
});

/** A stream that has sent what is free, and whether its next piece may go out. */
function nextPiece(way: RightOfWay): () => boolean {
  const turns = way.stream();
  expect(turns(output(FREE - 1))).toBeUndefined();
  let isOut = false;
  void turns(output(1))?.then(() => {
    isOut = true;
  });
  return () => isOut;
}

/** So many milliseconds, in each of which all that is ready happens. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; ; passed++) {
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    if (passed === ms) return;
    vi.advanceTimersByTime(1);
  }
}

let way: RightOfWay;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  way = new RightOfWay();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a stream with much to send", () => {
  it("waits for those who have just asked, and no longer than until they are answered", async () => {
    const [first, second] = [way.begin(), way.begin()];
    const isOut = nextPiece(way);
    first.end(DONE);
    await pass(0);
    expect(isOut()).toBe(false);
    second.end(DONE);
    await pass(1);
    expect(isOut()).toBe(true);
  });

  it("waits a moment for what a client asks next that has just been answered", async () => {
    way.begin().end(DONE);
    const isOut = nextPiece(way);
    await pass(0);
    expect(isOut()).toBe(false);
    await pass(1);
    expect(isOut()).toBe(true);
  });

  it("lets a request go first that comes while others have their turn", async () => {
    const isOut = nextPiece(way);
    way.begin();
    await pass(1);
    expect(isOut()).toBe(false);
  });

  it("does not wait for what takes long", async () => {
    way.begin();
    const isOut = nextPiece(way);
    await pass(1);
    expect(isOut()).toBe(false);
    await pass(1);
    expect(isOut()).toBe(true);
    const isNextOut = nextPiece(way);
    await pass(0);
    expect(isNextOut()).toBe(true);
  });

  it("goes on beside requests that never stop coming", async () => {
    for (let piece = 0; piece < 3; piece++) {
      const isOut = nextPiece(way);
      for (let ms = 0; ms < 2; ms++) {
        way.begin().end(DONE);
        way.begin();
        await pass(1);
      }
      expect(isOut()).toBe(true);
    }
  });

  it("gives others their turn for every 32 KiB, also where nobody has asked yet", async () => {
    const turns = way.stream();
    expect(turns(output(FREE))).toBeInstanceOf(Promise);
    expect(turns(output(31 * KIB))).toBeUndefined();
    expect(turns(output(KIB))).toBeInstanceOf(Promise);
    const isOut = nextPiece(way);
    expect(isOut()).toBe(false);
    await pass(0);
    expect(isOut()).toBe(true);
  });
});

it("a stream with little to send waits for nobody, nor does what is no output", () => {
  way.begin();
  const turns = way.stream();
  for (let kib = 0; kib < 1023; kib++) expect(turns(output(KIB))).toBeUndefined();
  expect(turns({ kind: "lost", stream: "stdout", from: 0, to: 2 * FREE })).toBeUndefined();
  expect(turns({ kind: "end", stream: "stdout", offset: 2 * FREE })).toBeUndefined();
});

it("streams send one after the other, and each waits anew", async () => {
  way.begin();
  const streams = [nextPiece(way), nextPiece(way), nextPiece(way)];
  const out = () => streams.filter((isOut) => isOut()).length;
  await pass(1);
  expect(out()).toBe(0);
  vi.advanceTimersByTime(1);
  while (out() === 0) await setImmediate();
  way.begin();
  await pass(0);
  expect(out()).toBe(1);
  await pass(5);
  expect(out()).toBe(3);
});
