import { describe, expect, it, vi } from "vitest";
import { deferred } from "../base/deferred.ts";
import type { Digest } from "../model/ids.ts";
import { SharedLayers } from "./shared-layers.ts";

const LAYER = "a".repeat(64) as Digest;

function make(idleMs = 0) {
  const failures: unknown[] = [];
  const shared = new SharedLayers({ idleMs, onCloseFailed: (_, error) => failures.push(error) });
  const opener = { open: vi.fn(async () => "/mounted"), close: vi.fn(async () => {}) };
  return { shared, opener, failures };
}

describe("shared layers", () => {
  it("makes everybody wait for the one who opens", async () => {
    const { shared, opener } = make();
    const opened = deferred<string>();
    opener.open.mockReturnValueOnce(opened.promise);
    const uses = [shared.use(LAYER, opener), shared.use(LAYER, opener), shared.use(LAYER, opener)];
    opened.resolve("/mounted");
    expect(await Promise.all(uses)).toEqual(["/mounted", "/mounted", "/mounted"]);
    expect(opener.open).toHaveBeenCalledTimes(1);
  });

  it("lets the next one try when opening fails", async () => {
    const { shared, opener } = make();
    opener.open.mockRejectedValueOnce(new Error("no loop device"));
    const [first, second] = await Promise.allSettled([shared.use(LAYER, opener), shared.use(LAYER, opener)]);
    expect(first).toMatchObject({ status: "rejected" });
    expect(second).toMatchObject({ status: "fulfilled" });
    await shared.release(LAYER);
    expect(opener.close).toHaveBeenCalledTimes(1);
  });

  it("opens again for who comes while it closes", async () => {
    const { shared, opener } = make();
    const closed = deferred<void>();
    opener.close.mockReturnValueOnce(closed.promise);
    await shared.use(LAYER, opener);
    const releasing = shared.release(LAYER);
    await expect.poll(() => opener.close).toHaveBeenCalled();
    expect(shared.tryUse(LAYER)).toBeUndefined();
    const using = shared.use(LAYER, opener);
    expect(opener.open).toHaveBeenCalledTimes(1);
    closed.resolve();
    await releasing;
    expect(await using).toBe("/mounted");
    expect(opener.open).toHaveBeenCalledTimes(2);
  });

  it("stays open when closing fails, and can be closed later", async () => {
    const { shared, opener } = make();
    opener.close.mockRejectedValueOnce(new Error("busy"));
    await shared.use(LAYER, opener);
    await expect(shared.release(LAYER)).rejects.toThrow("busy");
    expect(shared.tryUse(LAYER)).toBe("/mounted");
    await shared.release(LAYER);
    expect(shared.isOpen(LAYER)).toBe(false);
  });

  it("names what could not be closed after trying everything", async () => {
    const { shared, opener } = make(Number.POSITIVE_INFINITY);
    const other = "b".repeat(64) as Digest;
    const stuck = { open: async () => "/stuck", close: () => Promise.reject(new Error("busy")) };
    await shared.use(LAYER, stuck);
    await shared.use(other, opener);
    await Promise.all([shared.release(LAYER), shared.release(other)]);
    await expect(shared.closeAllIdle()).rejects.toMatchObject({ errors: [{ message: "busy" }] });
    expect(opener.close).toHaveBeenCalledTimes(1);
  });

  it("runs what needs a closed layer only when nobody uses it", async () => {
    const { shared, opener } = make();
    await shared.use(LAYER, opener);
    const task = vi.fn(async () => "done");
    expect(await shared.whileClosed(LAYER, task)).toBeUndefined();
    await shared.release(LAYER);
    expect(await shared.whileClosed(LAYER, task)).toBe("done");
    expect(task).toHaveBeenCalledTimes(1);
  });

  it("closes what has been idle for its time, not what is used again, and reports what fails", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    try {
      const { shared, opener, failures } = make(1000);
      await shared.use(LAYER, opener);
      await shared.release(LAYER);
      await vi.advanceTimersByTimeAsync(900);
      await shared.use(LAYER, opener);
      await vi.advanceTimersByTimeAsync(5000);
      expect(opener.close).not.toHaveBeenCalled();
      await shared.release(LAYER);
      opener.close.mockRejectedValueOnce(new Error("busy"));
      await vi.advanceTimersByTimeAsync(1000);
      expect(failures).toMatchObject([{ message: "busy" }]);
      await vi.advanceTimersByTimeAsync(1000);
      expect(shared.isOpen(LAYER)).toBe(false);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
