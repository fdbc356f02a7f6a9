import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** A hang ends a test; nothing asserts on time. */
const HANG_MS = 240_000;

/** Modules are loaded once for many files: what they share with each other is nothing that a test changes and leaves. */
const quick = (name: string, include: string) => ({
  extends: true as const,
  test: { name, include: [include], isolate: false, sequence: { groupOrder: 0 } },
});

/**
 * The suites start real sandboxes and wait a good part of their time: one file more at once than there are cores. Each
 * looks for what is left in places of its own alone.
 */
const suite = (name: string, groupOrder: number) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    maxWorkers: availableParallelism() + 1,
    sequence: { groupOrder },
  },
});

export default defineConfig({
  test: {
    passWithNoTests: true,
    testTimeout: HANG_MS,
    hookTimeout: HANG_MS,
    // A busy machine may stand still for seconds: what is polled for has a quarter of the time that is a hang.
    expect: { poll: { timeout: HANG_MS / 4, interval: 10 } },
    projects: [
      quick("unit", "src/**/*.test.ts"),
      quick("repository", "test/*.test.ts"),
      quick("bench", "bench/**/*.test.ts"),
      suite("contract", 1),
      suite("integration", 1),
      suite("faults", 1),
      suite("security", 1),
      suite("containment", 2),
      suite("fuzz", 2),
    ],
  },
});
