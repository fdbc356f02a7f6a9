import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** A hang ends a test; nothing asserts on time. */
const HANG_MS = 240_000;

/**
 * Modules are loaded once for many files: what they share with each other is nothing that a test changes and leaves.
 * Much of what the tests do is waiting: one file more at once than there are cores.
 */
const project = (name: string, groupOrder: number, ...include: readonly string[]) => ({
  extends: true as const,
  test: {
    name,
    include: [...include],
    isolate: false,
    maxWorkers: availableParallelism() + 1,
    sequence: { groupOrder },
  },
});

/** They start real sandboxes. Each looks for what is left in places of its own alone. */
const SUITES = ["contract", "faults", "integration", "security"];

export default defineConfig({
  test: {
    passWithNoTests: true,
    testTimeout: HANG_MS,
    hookTimeout: HANG_MS,
    // A busy machine may stand still for seconds: what is polled for has a quarter of the time that is a hang.
    expect: { poll: { timeout: HANG_MS / 4, interval: 10 } },
    projects: [
      project("bench", 0, "bench/**/*.test.ts"),
      project("suites", 0, ...SUITES.map((name) => `test/${name}/**/*.test.ts`)),
      project("unit", 0, "src/**/*.test.ts", "test/*.test.ts"),
      project("containment", 1, "test/containment/**/*.test.ts"),
      project("fuzz", 1, "test/fuzz/**/*.test.ts"),
    ],
  },
});
