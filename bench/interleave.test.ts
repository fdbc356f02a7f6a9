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

describe("interleaved measuring", () => {
  test("takes each contender once a round", async () => {
    const log: string[] = [];
    await interleave([recorded("a", log), recorded("b", log)], { warmups: 0, rounds: 50, signal: never });
    for (let i = 0; i < log.length; i += 2) expect(new Set(log.slice(i, i + 2))).toEqual(new Set(["a", "b"]));
    expect(log).toHaveLength(100);
  });

  test("lets nobody always go first", async () => {
    const log: string[] = [];
    await interleave([recorded("a", log), recorded("b", log)], { warmups: 0, rounds: 100, signal: never });
    const firsts = log.filter((_, i) => i % 2 === 0);
    expect(firsts.filter((name) => name === "a").length).toBeGreaterThan(25);
    expect(firsts.filter((name) => name === "b").length).toBeGreaterThan(25);
  });

  test("runs the warm-ups and does not count them", async () => {
    const [a] = await interleave([recorded("a", [])], { warmups: 3, rounds: 2, signal: never });
    expect(a).toEqual({ name: "a", samples: [3, 4] });
  });

  test("measures a slow contender less often, and at least once", async () => {
    const measured = await interleave([recorded("a", []), recorded("slow", [], 10)], {
      warmups: 0,
      rounds: 25,
      signal: never,
    });
    expect(measured.map(({ samples }) => samples.length)).toEqual([25, 3]);
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
    await expect(interleave([stopper], { warmups: 0, rounds: 10, signal: abort.signal })).rejects.toThrow("stop");
    expect(log).toHaveLength(3);
  });
});
