import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BOOT_ID, isAlive, markOf } from "./process-mark.ts";

const own = (): string => markOf(process.pid) ?? "";

describe("process mark", () => {
  it("has pid, start time and boot", () => {
    const [pid, startTime, boot] = own().split(".");
    expect(pid).toBe(String(process.pid));
    expect(readFileSync("/proc/self/stat", "latin1")).toContain(` ${startTime} `);
    expect(boot).toBe(BOOT_ID);
    expect(BOOT_ID).toMatch(/^[0-9a-f]{32}$/);
    expect(isAlive(own())).toBe(true);
  });

  it("is dead when another process has the pid by now", () => {
    const [pid, startTime, boot] = own().split(".");
    expect(isAlive(`${pid}.${Number(startTime) + 1}.${boot}`)).toBe(false);
  });

  it("is dead after a boot, also where pid and start time have come back", () => {
    const [pid, startTime] = own().split(".");
    expect(isAlive(`${pid}.${startTime}.${"0".repeat(32)}`)).toBe(false);
    expect(isAlive(`${pid}.${startTime}`)).toBe(false);
  });

  it("dies with its process", async () => {
    const child = spawn("sleep", ["100"]);
    const mark = markOf(child.pid ?? 0) ?? "";
    expect(isAlive(mark)).toBe(true);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(isAlive(mark)).toBe(false);
  });

  it.each(["", "names", "a.b.c", "1.2", "0.0.0"])("belongs to nobody: %j", (mark) => {
    expect(isAlive(mark)).toBe(false);
  });
});
