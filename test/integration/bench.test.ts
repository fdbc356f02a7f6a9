import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BenchmarkName } from "../../bench/benchmark.ts";
import { BENCHMARKS } from "../../bench/benchmark.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAIN = "build/bench/bench/main.js";

/** Those of `npm run bench:overhead`. */
const OVERHEAD: readonly BenchmarkName[] = ["file-reads", "machine-file-reads", "compute", "hello-memory"];

const run = promisify(execFile);

describe("npm run bench", () => {
  let directory: string;
  let temporary: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "plybox-test-bench-"));
    temporary = mkdtempSync(join(directory, "tmp-"));
    // The one-execution agent's programs run as another user, below them.
    for (const path of [directory, temporary]) chmodSync(path, 0o755);
    await run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.bench.json"], { cwd: ROOT });
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const bench = (...args: readonly string[]) =>
    run(process.execPath, [MAIN, ...args], { cwd: ROOT, env: { ...process.env, TMPDIR: temporary } }).catch(
      // How far it came and what ended it, beside what it wrote to stderr.
      (error: Error & { code?: unknown; signal?: unknown; stdout?: string }) => {
        error.message += `\ncode ${error.code}, signal ${error.signal}, after:\n${error.stdout?.slice(-500)}`;
        throw error;
      },
    );

  const held = (): string[] => [
    ...readdirSync(temporary),
    ...readdirSync("/dev/shm").filter((name) => name.startsWith("plybox-bench-")),
    ...readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .filter((line) => line.includes("plybox-bench-")),
  ];

  async function rowsOf(...args: readonly string[]): Promise<{ rows: Record<string, unknown>[]; stdout: string }> {
    const file = join(directory, "figures.json");
    const { stdout } = await bench(...args, "--json", file);
    const rows = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>[];
    for (const row of rows) {
      expect(Object.keys(row)).toEqual(["name", "unit", "p50", "p90", "p99", "reference", "referenceP50", "ratio"]);
      for (const figure of [row.p50, row.p90, row.p99]) expect(figure).toSatisfy(Number.isFinite);
    }
    for (const row of rows.filter(({ unit }) => unit === "ms")) expect(row.p50).toBeGreaterThan(0);
    return { rows, stdout };
  }

  test("measures what it names, writes it as JSON, and leaves nothing", async () => {
    const names = BENCHMARKS.filter((name) => !OVERHEAD.includes(name));
    const small = ["--runs", "1", "--sandboxes", "2", "--megabytes", "8", "--small-files", "50"];
    const { rows, stdout } = await rowsOf("--only", names.join(), ...small, "--steps");
    expect(rows.map(({ name }) => name)).toEqual(names);
    expect(stdout).toContain("all served: 100 of 100");
    expect(stdout).toMatch(/^ *overlay +\d/m);
    expect(held()).toEqual([]);
  });

  test("measures work inside beside the same work outside, and in what else there is for it", async () => {
    const { rows, stdout } = await rowsOf("--only", OVERHEAD.join(), "--runs", "1", "--compute-ms", "5");
    const tables = stdout.split("\n\n").slice(1, -1);
    expect(rows.map(({ name }) => name)).toEqual(OVERHEAD);
    expect(tables).toHaveLength(OVERHEAD.length);
    for (const row of rows) expect(row).toMatchObject({ reference: "unconfined", ratio: expect.any(Number) });
    for (const table of tables)
      for (const other of ["unconfined", "bubblewrap", "firejail", "runsc"])
        expect(table).toMatch(new RegExp(`^  ${other}.*(\\d ×$|not installed|fails here)`, "m"));
    expect(held()).toEqual([]);
  });

  test("refuses what it does not know before it starts anything", async () => {
    await expect(bench("--only", "nothing")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no benchmark nothing"),
    });
    expect(held()).toEqual([]);
  });
});
