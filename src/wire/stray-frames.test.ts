import { describe, expect, it } from "vitest";
import type { Frame } from "./frame.ts";
import { isVoid, StrayFrames } from "./stray-frames.ts";

const data = (bytes: number): Frame => ({ kind: "data", channel: 1, stream: 1, offset: 0, bytes: Buffer.alloc(bytes) });
const json: Frame = { kind: "exit", channel: 1, json: {} };

/** How many of a frame pass before the peer is at fault. */
function passing(stray: StrayFrames, frame: Frame): number {
  for (let count = 0; ; count++) {
    try {
      stray.pass(frame);
    } catch {
      return count;
    }
  }
}

describe("frames that are of no use", () => {
  it("pass as far as a channel's window and its end can have crossed a close", () => {
    const stray = new StrayFrames();
    stray.closed();
    // The widest window, in frames as an agent sends them, two ends, a loss and the exit.
    for (let sent = 0; sent < 1_048_576; sent += 16_384) stray.pass(data(16_384));
    stray.pass({ kind: "end", channel: 1, stream: 1, offset: 0 });
    stray.pass({ kind: "end", channel: 1, stream: 2, offset: 0 });
    stray.pass({ kind: "lost", channel: 1, stream: 1, from: 0, to: 1 });
    stray.pass(json);
  });

  it("do not pass for ever, however small they are", () => {
    const stray = new StrayFrames();
    expect(passing(stray, data(0))).toBeLessThan(10_000);
    expect(passing(stray, data(0))).toBe(0);
    stray.ended();
    expect(passing(stray, json)).toBeLessThan(10);
    expect(() => stray.pass(json)).toThrow(/exit frames come on and on/);
  });

  it("do not pass the more the longer a connection lasts", () => {
    const stray = new StrayFrames();
    for (let channel = 0; channel < 100_000; channel++) stray.closed();
    expect(passing(stray, data(65_536))).toBeLessThan(1100);
  });
});

describe("a frame that carries nothing", () => {
  it("is data of no bytes, or credit of none", () => {
    const frames: Frame[] = [data(0), { kind: "credit", channel: 1, bytes: 0 }, data(1), json];
    expect(frames.map(isVoid)).toEqual([true, true, false, false]);
  });
});
