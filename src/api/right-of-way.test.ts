import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ExecEvent } from "../model/exec.ts";
import { RightOfWay } from "./right-of-way.ts";

const KIB = 1024;
/** What a stream sends before it waits for anybody. */
const FREE = 1024 * KIB;

const output = (bytes: number): ExecEvent => ({
  ...{ kind: "output", stream: "stdout", offset: 0, bytes: new Uint8Array(bytes) },
});

/** A stream that has sent what is free, and its next piece. */
function nextPiece(way: RightOfWay): { readonly piece: Promise<void> | undefined; readonly isOut: () => boolean } {
  const turns = way.stream();
  expect(turns(output(FREE - 1))).toBeUndefined();
  let isOut = false;
  const piece = turns(output(1))?.then(() => {
    isOut = true;
  });
  return { piece, isOut: () => isOut };
}

/** Long enough for whatever waits for the event loop alone. */
async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await setImmediate();
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
  it("waits until those who have just asked are answered", async () => {
    const [first, second] = [way.begin(), way.begin()];
    const { piece, isOut } = nextPiece(way);
    await someTurns();
    expect(isOut()).toBe(false);
    first.end({ status: 200 });
    await someTurns();
    expect(isOut()).toBe(false);
    second.end({ status: 200 });
    await piece;
    expect(vi.getTimerCount()).toBe(0);
  });

  it("lets a request go first that comes while others had their turn", async () => {
    const { piece, isOut } = nextPiece(way);
    const late = way.begin();
    await someTurns();
    expect(isOut()).toBe(false);
    late.end({ status: 200 });
    await piece;
  });

  it("does not wait for what takes long", async () => {
    way.begin();
    const { piece, isOut } = nextPiece(way);
    await someTurns();
    expect(isOut()).toBe(false);
    vi.advanceTimersByTime(5);
    await piece;
    await nextPiece(way).piece;
  });

  it("goes on beside requests that never stop coming", async () => {
    for (let piece = 0; piece < 3; piece++) {
      const { isOut } = nextPiece(way);
      for (let ms = 0; ms < 10; ms++) {
        way.begin();
        await someTurns();
        vi.advanceTimersByTime(1);
      }
      await someTurns();
      expect(isOut()).toBe(true);
    }
  });

  it("gives others their turn for every 32 KiB, also where nobody has asked yet", async () => {
    const turns = way.stream();
    expect(turns(output(FREE))).toBeInstanceOf(Promise);
    expect(turns(output(31 * KIB))).toBeUndefined();
    expect(turns(output(KIB))).toBeInstanceOf(Promise);
    const { piece, isOut } = nextPiece(way);
    expect(isOut()).toBe(false);
    await piece;
  });
});

it("a stream with little to send waits for nobody, nor does what is no output", () => {
  way.begin();
  const turns = way.stream();
  for (let kib = 0; kib < 1023; kib++) expect(turns(output(KIB))).toBeUndefined();
  expect(turns({ kind: "lost", stream: "stdout", from: 0, to: 2 * FREE })).toBeUndefined();
  expect(turns({ kind: "end", stream: "stdout", offset: 2 * FREE })).toBeUndefined();
});

it("streams go on one after the other, and a request that comes meanwhile goes before the next", async () => {
  const request = way.begin();
  const streams = [nextPiece(way), nextPiece(way), nextPiece(way)];
  const out = () => streams.filter(({ isOut }) => isOut()).length;
  await someTurns();
  expect(out()).toBe(0);
  request.end({ status: 200 });
  await streams[0]?.piece;
  const another = way.begin();
  await someTurns();
  expect(out()).toBe(1);
  another.end({ status: 200 });
  await Promise.all(streams.map(({ piece }) => piece));
  expect(vi.getTimerCount()).toBe(0);
});
