import { describe, expect, test } from "vitest";
import type { Contender } from "./interleave.ts";
import { interleave } from "./interleave.ts";

const never = new AbortController().signal;

function recorded(name: string, log: string[], every?: number): Contender {
  let calls = 0;
  return {
    name,
    ...(every !== undefined && { every }),
    async sample() {
      log.push(name);
      return calls++;
    },
  };
}

const a = (log: string[] = []): Contender => recorded("a", log);

describe("interleaved measuring", () => {
  test("takes turns", async () => {
    const log: string[] = [];
    await interleave([a(log), recorded("b", log)], { warmups: 0, runs: 50, turn: 1, signal: never });
    for (let i = 0; i < log.length; i += 2) expect(new Set(log.slice(i, i + 2))).toEqual(new Set(["a", "b"]));
    expect(log).toHaveLength(100);
  });

  test("takes as many samples a turn as it is told", async () => {
    const log: string[] = [];
    await interleave([a(log), recorded("b", log)], { warmups: 0, runs: 8, turn: 4, signal: never });
    expect(["aaaabbbb", "bbbbaaaa"]).toContain(log.slice(0, 8).join(""));
    expect(["aaaabbbb", "bbbbaaaa"]).toContain(log.slice(8).join(""));
  });

  test("lets nobody always go first", async () => {
    const log: string[] = [];
    await interleave([a(log), recorded("b", log)], { warmups: 0, runs: 100, turn: 1, signal: never });
    const firsts = log.filter((_, i) => i % 2 === 0);
    expect(firsts.filter((name) => name === "a").length).toBeGreaterThan(25);
    expect(firsts.filter((name) => name === "b").length).toBeGreaterThan(25);
  });

  test("takes the warm-ups and does not count them", async () => {
    const [one] = await interleave([a()], { warmups: 3, runs: 2, turn: 2, signal: never });
    expect(one).toEqual({ name: "a", samples: [3, 4] });
  });

  test.each([1, 7, 10, 1000])("takes exactly the samples that are asked for in turns of %d", async (turn) => {
    const measured = await interleave([a(), recorded("slow", [], 10)], { warmups: 4, runs: 25, turn, signal: never });
    expect(measured.map(({ samples }) => samples.length)).toEqual([25, 3]);
  });

  test("spreads the samples of a slow contender over the run", async () => {
    const log: string[] = [];
    await interleave([a(log), recorded("slow", log, 10)], { warmups: 0, runs: 100, turn: 1, signal: never });
    const at = log.flatMap((name, i) => (name === "slow" ? [i] : []));
    for (const [i, place] of at.entries()) expect(Math.abs(place - i * 11)).toBeLessThanOrEqual(2);
    expect(at).toHaveLength(10);
  });

  test("ends at once when it is aborted", async () => {
    const abort = new AbortController();
    const log: string[] = [];
    const stopper: Contender = {
      name: "stopper",
      async sample() {
        if (log.push("stopper") === 3) abort.abort(new Error("stop"));
        return 0;
      },
    };
    const sampling = { warmups: 0, runs: 10, turn: 10, signal: abort.signal };
    await expect(interleave([stopper], sampling)).rejects.toThrow("stop");
    expect(log).toHaveLength(3);
  });
});
