import { describe, expect, test } from "vitest";
import { BENCHMARKS } from "./benchmark.ts";
import { parseOptions } from "./options.ts";

describe("the options", () => {
  test("mean everything where none is given", () => {
    expect(parseOptions([])).toEqual({
      help: false,
      only: BENCHMARKS,
      runs: 500,
      turn: 10,
      sandboxes: 200,
      megabytes: 1024,
      smallFiles: 10_000,
      computeMs: 10_000,
      json: undefined,
      steps: false,
    });
  });

  test("name benchmarks by commas and by repetition, and keep the order of the report", () => {
    expect(parseOptions(["--only", "exec,agent-ack", "--only=create"]).only).toEqual(["create", "exec", "agent-ack"]);
  });

  test.each([
    [["--only", "creat"], "no benchmark creat; there are create, exec"],
    [["--runs", "0"], "--runs takes a number of 1 or more, not 0"],
    [["--runs", "1e3"], "--runs takes a number of 1 or more, not 1e3"],
    [["--sandboxes", "-5"], "--sandboxes"],
    [["--run", "5"], "--run"],
    [["create"], "create"],
  ])("%j is refused", (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});
