import { defineConfig } from "vitest/config";

/** Layers of Debian's packages, fetched from its mirrors: minutes, so that they are no part of `npm test`. */
export default defineConfig({
  test: { name: "presets", include: ["test/presets/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 },
});
