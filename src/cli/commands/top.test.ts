import { expect, it } from "vitest";
import { processLines } from "./top.ts";

const process = (pid: number, cpuMs: number) => ({
  ...{ pid, cpuMs, ppid: 1, uid: 0, user: "root", state: "S", rssBytes: 0, threads: 1, command: "x" },
});
const cores = (...looks: Parameters<typeof processLines>) => processLines(...looks).map((line) => line.cores);

it("a process uses what it has used since the look before", () => {
  const before = { atMs: 1000, processes: [process(1, 100), process(2, 50)] };
  const now = { atMs: 2000, processes: [process(1, 600), process(2, 50), process(3, 250)] };
  expect(cores(now, before)).toEqual([0.5, 0, 0.25]);
});

it("a process that is seen once, or whose pid was another's, is measured by itself", () => {
  const before = { atMs: 0, processes: [process(1, 500)] };
  expect(cores(before, undefined)).toEqual([null]);
  expect(cores({ atMs: 1000, processes: [process(1, 100)] }, before)).toEqual([0.1]);
});
