import { defineConfig } from "vitest/config";

/** A hang ends a test; nothing asserts on time. */
const HANG_MS = 240_000;

/**
 * The suites below start real sandboxes and count what the machine holds before and after, so one file runs at a time
 * and one suite after the other.
 */
const suite = (name: string, groupOrder: number) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    fileParallelism: false,
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
      { extends: true, test: { name: "unit", include: ["src/**/*.test.ts"], sequence: { groupOrder: 0 } } },
      { extends: true, test: { name: "repository", include: ["test/*.test.ts"], sequence: { groupOrder: 0 } } },
      { extends: true, test: { name: "bench", include: ["bench/**/*.test.ts"], sequence: { groupOrder: 0 } } },
      suite("contract", 1),
      suite("integration", 2),
      suite("faults", 3),
      suite("security", 4),
      suite("containment", 5),
      suite("fuzz", 6),
    ],
  },
});
