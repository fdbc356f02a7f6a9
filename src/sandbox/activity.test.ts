import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Activity } from "./activity.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("it is idle from its beginning, and from the end of the last thing under way", () => {
  const activity = new Activity();
  vi.advanceTimersByTime(5);
  expect(activity.idleMs).toBe(5);
  const first = activity.hold();
  const second = activity.hold();
  vi.advanceTimersByTime(10);
  expect(activity.idleMs).toBe(0);
  first();
  first();
  vi.advanceTimersByTime(10);
  expect(activity.idleMs).toBe(0);
  second();
  vi.advanceTimersByTime(7);
  expect(activity.idleMs).toBe(7);
});

test("what is over at once begins the idle time anew", () => {
  const activity = new Activity();
  vi.advanceTimersByTime(5);
  activity.touch();
  vi.advanceTimersByTime(2);
  expect(activity.idleMs).toBe(2);
});
