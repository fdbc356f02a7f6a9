import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Deadlines } from "./deadlines.ts";

const START = Date.parse("2026-01-01T00:00:00Z");
let due: string[];
let deadlines: Deadlines;

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  due = [];
  deadlines = new Deadlines((key) => due.push(key));
});
afterEach(() => {
  deadlines.close();
  vi.useRealTimers();
});

describe("Deadlines", () => {
  it("tells of each key when its moment has come, in the order of the moments", () => {
    deadlines.set("late", START + 3000);
    deadlines.set("early", START + 1000);
    deadlines.set("middle", START + 2000);
    vi.advanceTimersByTime(999);
    expect(due).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(due).toEqual(["early"]);
    vi.advanceTimersByTime(2000);
    expect(due).toEqual(["early", "middle", "late"]);
    expect(deadlines.size).toBe(0);
  });

  it("tells at once of what is overdue", () => {
    deadlines.set("old", START - 10_000);
    vi.advanceTimersByTime(0);
    expect(due).toEqual(["old"]);
  });

  it("holds to the last moment that a key was given", () => {
    deadlines.set("a", START + 1000);
    deadlines.set("a", START + 5000);
    vi.advanceTimersByTime(4999);
    expect(due).toEqual([]);
    deadlines.set("b", START + 9000);
    deadlines.set("b", START + 6000);
    vi.advanceTimersByTime(1001);
    expect(due).toEqual(["a", "b"]);
    vi.advanceTimersByTime(10_000);
    expect(due).toEqual(["a", "b"]);
  });

  it("tells nothing of what was deleted, nor after its end", () => {
    deadlines.set("a", START + 1000);
    deadlines.set("b", START + 1000);
    deadlines.delete("a");
    vi.advanceTimersByTime(2000);
    expect(due).toEqual(["b"]);
    deadlines.set("c", START + 3000);
    deadlines.close();
    vi.advanceTimersByTime(2000);
    expect(due).toEqual(["b"]);
  });

  it("lets a key be set again while it is told of", () => {
    let count = 0;
    const again = new Deadlines((key) => {
      count += 1;
      if (count < 3) again.set(key, Date.now() + 100);
    });
    again.set("a", START + 100);
    vi.advanceTimersByTime(10_000);
    expect(count).toBe(3);
  });

  it("reaches moments further away than a timer can be set", () => {
    const month = 40 * 86_400_000;
    deadlines.set("far", START + month);
    vi.advanceTimersByTime(month - 1);
    expect(due).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(due).toEqual(["far"]);
  });

  it("notices within a minute that the clock was set", () => {
    deadlines.set("a", START + 86_400_000);
    vi.setSystemTime(START + 2 * 86_400_000);
    vi.advanceTimersByTime(60_000);
    expect(due).toEqual(["a"]);
  });

  it("has one timer for ten thousand keys, however often they are set", () => {
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 10_000; i++) deadlines.set(`k${i}`, START + 1000 + ((i * 7919 + round) % 10_000));
    }
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(20_000);
    expect(due).toHaveLength(10_000);
    const moments = due.map((key) => (Number(key.slice(1)) * 7919 + 4) % 10_000);
    expect(moments).toEqual([...moments].sort((a, b) => a - b));
  });
});
