import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { childrenOf, parseKiB, readProcessMemory } from "./machine.ts";

describe("the machine", () => {
  test("sizes are read by name, and what is no size is left out", () => {
    const text = "MemTotal:       24684096 kB\nActive(anon):        12 kB\nHugePages_Total:       0\nName:\tnode\n";
    expect(parseKiB(text)).toEqual(
      new Map([
        ["MemTotal", 24684096],
        ["Active(anon)", 12],
      ]),
    );
  });

  test("a process's own pages are part of its share, and its share of what is resident", () => {
    const { rss, pss, own } = readProcessMemory(process.pid);
    expect(own).toBeGreaterThan(0);
    expect(pss).toBeGreaterThanOrEqual(own);
    expect(rss).toBeGreaterThanOrEqual(pss);
  });

  test("a child is found whichever thread started it", async () => {
    const child = spawn("/bin/sleep", ["1000"]);
    await once(child, "spawn");
    expect(childrenOf(process.pid)).toContain(child.pid);
    child.kill();
    await once(child, "close");
    expect(childrenOf(process.pid)).not.toContain(child.pid);
  });
});
