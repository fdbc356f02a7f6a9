import { expect, test } from "vitest";
import { stepTable } from "./step-times.ts";

const launched = (clone: number, overlay: number): string =>
  JSON.stringify({ level: 20, steps: `clone:${clone}.000 overlay:${overlay}.000`, msg: "launched" });

test("the steps of every launch in a log are summed up in their order", () => {
  const log = [
    launched(100, 7),
    '{"level":40,"msg":"a layer was \\"launched\\""}',
    launched(300, 5),
    launched(200, 6),
    "",
  ];
  expect(stepTable(log.join("\n"))).toEqual([
    "step             n   p50 µs      p90      p99",
    "clone            3      200      300      300",
    "overlay          3     6.00     7.00     7.00",
    "all steps               206",
  ]);
});

test("a log without launches says so", () => {
  expect(stepTable('{"level":30,"msg":"plybox serves"}\n')).toEqual(["the daemon's log has no steps of a launch"]);
});
