import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hear, LISTENERS } from "../support/fuzzed-agent.ts";
import { readCorpus, speech, spoken } from "../support/hostile-bytes.ts";

/** How long to go on, and where what was new is kept: `npm run fuzz` says; otherwise it is a test like any other. */
const SECONDS = Number(process.env.PLYBOX_FUZZ_SECONDS ?? 0);
const DIRECTORY = process.env.PLYBOX_FUZZ_CORPUS;
const SEED = Number(process.env.PLYBOX_SEED ?? Date.now() % 2 ** 31);
const RUNS = 150;
/** More than what a listener may hold, and what the speeches themselves take. */
const MOST_GROWTH = 256 * 1024 ** 2;

const listeners = Object.keys(LISTENERS);
const kept = DIRECTORY === undefined ? [] : readKept(DIRECTORY);
const corpus = [...readCorpus(), ...kept];
/** Everything that listeners have said so far: a speech that makes one say something new is worth keeping. */
const verdicts = new Set<string>();
const unhandled: unknown[] = [];
let executions = 0;

function readKept(directory: string): readonly Buffer[] {
  mkdirSync(directory, { recursive: true });
  return readdirSync(directory).map((name) => readFileSync(join(directory, name)));
}

function keep(what: string, words: readonly Buffer[]): void {
  if (verdicts.has(what)) return;
  verdicts.add(what);
  if (DIRECTORY === undefined || words.length === 0) return;
  const bytes = Buffer.concat(words);
  if (bytes.length > 8192) return;
  writeFileSync(join(DIRECTORY, what.replace(/[^a-z0-9]+/gi, "-").slice(0, 100)), bytes);
}

const note = (error: unknown): void => void unhandled.push(error);

beforeAll(() => {
  process.on("unhandledRejection", note);
});
afterAll(() => {
  process.off("unhandledRejection", note);
  process.stdout.write(
    `wire: ${executions} executions, ${verdicts.size} verdicts, corpus ${corpus.length}, seed ${SEED}; ` +
      `PLYBOX_SEED=${SEED} repeats it\n`,
  );
  expect(unhandled).toEqual([]);
});

describe("whatever a peer says", () => {
  const budgetMs = (SECONDS * 1000) / listeners.length;
  const limits = SECONDS > 0 ? { numRuns: 2 ** 31, interruptAfterTimeLimit: budgetMs } : { numRuns: RUNS };
  it.each(listeners)(
    "%s comes to an end, by the peer's fault or by none",
    async (listener) => {
      const before = process.memoryUsage.rss();
      const property = fc.asyncProperty(speech(corpus), async (said) => {
        executions += 1;
        const { code, what } = await hear(listener, spoken(listener, said));
        keep(`${code} ${what}`, said.words);
      });
      await fc.assert(property, { ...limits, seed: SEED, markInterruptAsFailure: false });
      expect(process.memoryUsage.rss() - before).toBeLessThan(MOST_GROWTH);
    },
    budgetMs + 120_000,
  );
});
