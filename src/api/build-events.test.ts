import { describe, expect, it } from "vitest";
import { deferred } from "../base/deferred.ts";
import type { BuildProgress } from "../model/layer.ts";
import { buildEvents } from "./build-events.ts";

const at = (doneBytes: number): BuildProgress => ({ step: "pack", doneBytes, totalBytes: 10 });

describe("the events of a build", () => {
  it("tell of the latest progress, always of the last, and then of what was made", async () => {
    const next = deferred<void>();
    const events = buildEvents(async (onProgress) => {
      onProgress(at(1));
      onProgress(at(2));
      await next.promise;
      onProgress(at(3));
      onProgress(at(10));
      return { name: "made" };
    });
    expect((await events.next()).value).toEqual({ event: "progress", data: at(2) });
    next.resolve();
    expect((await events.next()).value).toEqual({ event: "progress", data: at(10) });
    expect((await events.next()).value).toEqual({ event: "layer", data: { name: "made" } });
    expect((await events.next()).done).toBe(true);
  });

  it("end with its failure", async () => {
    const events = buildEvents(async () => {
      throw new Error("it failed");
    });
    await expect(events.next()).rejects.toThrow("it failed");
  });
});
