import { describe, expect, it } from "vitest";
import { isMakerAlive, newMakerMark } from "./maker-mark.ts";

describe("maker mark", () => {
  it("is alive while its process is, and each one differs", () => {
    const mark = newMakerMark();
    expect(isMakerAlive(`.new.${mark}`)).toBe(true);
    expect(newMakerMark()).not.toBe(mark);
  });

  it("is dead when it was made before the machine's start", () => {
    const [pid, startTime, , random] = newMakerMark().split(".");
    expect(isMakerAlive(`.new.${pid}.${startTime}.${"0".repeat(32)}.${random}`)).toBe(false);
    expect(isMakerAlive(`.new.${pid}.${startTime}.${random}`)).toBe(false);
  });

  it.each(["", "names", "a.b.c", "1.2", "../1.2.0123456789abcdef/.."])("belongs to nobody: %j", (name) => {
    expect(isMakerAlive(name)).toBe(false);
  });
});
