import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isMakerAlive, newProcessMark } from "./process-mark.ts";

describe("process mark", () => {
  it("is alive while its process is, and each one differs", () => {
    const mark = newProcessMark();
    expect(isMakerAlive(`.new.${mark}`)).toBe(true);
    expect(newProcessMark()).not.toBe(mark);
  });

  it("is dead when another process has the pid by now", () => {
    const [pid, start, random] = newProcessMark().split(".");
    expect(isMakerAlive(`${pid}.${Number(start) + 1}.${random}`)).toBe(false);
  });

  it("dies with its process", async () => {
    const child = spawn("sleep", ["100"]);
    const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
    const mark = `${child.pid}.${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}.0123456789abcdef`;
    expect(isMakerAlive(mark)).toBe(true);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(isMakerAlive(mark)).toBe(false);
  });

  it.each(["", "names", "a.b.c", "1.2", "../1.2.0123456789abcdef/.."])("belongs to nobody: %j", (name) => {
    expect(isMakerAlive(name)).toBe(false);
  });
});
