/**
 * `npm test`: sets up what is missing, then runs every check and every test, and ends with one line,
 * `N passed, N failed` (`, N skipped`), which adds up what each of them counted. `npm test -- types vitest` runs the
 * named ones alone.
 */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { ROOT, setUp } from "./set-up.mjs";

/** @typedef {{ name: string, reason: string }} Skip */
/** @typedef {{ passed: number, failed: number, skipped?: Skip[], failures?: string[] }} Counts */
/** @typedef {{ name: string, run: () => Promise<Counts> }} Step */

const COUNTS_FILE = join(ROOT, "build/test-counts.json");
const FUZZ_SECONDS = 5;
// No step takes half as long; one that does hangs, and is ended while there is somebody to read what it was at.
const STEP_MINUTES = 35;
// What one of them prints stays together, also beside others.
const MAKE = ["--no-print-directory", "--output-sync=target", "-C", "native", `-j${availableParallelism()}`];

/** @param {string} name */
const installed = (name) => join(ROOT, "node_modules/.bin", name);

/**
 * Ends a program that hangs, politely first, so that it ends what it has started.
 * @param {import("node:child_process").ChildProcessByStdio<null, import("node:stream").Readable, import("node:stream").Readable>} child
 */
function endHanging(child) {
  console.error(`plybox: ${child.spawnfile} has not ended within ${STEP_MINUTES} minutes and is ended`);
  child.kill("SIGTERM");
  const last = setTimeout(() => {
    child.kill("SIGKILL");
    // What it has left behind may hold the other ends.
    child.stdout.destroy();
    child.stderr.destroy();
  }, 20_000);
  child.on("close", () => clearTimeout(last));
}

/**
 * Runs a program, showing what it prints: as it comes, or `whole` in one piece, where others run beside it.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, whole?: boolean }} [options]
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
function run(program, args, { env = {}, whole = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const limit = setTimeout(endHanging, STEP_MINUTES * 60_000, child);
    let [output, shown] = ["", ""];
    /** @param {string} text */
    const show = (text) => {
      if (whole) shown += text;
      else process.stdout.write(text);
    };
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      show(text);
    });
    child.stderr.setEncoding("utf8").on("data", show);
    child.on("error", (error) => {
      clearTimeout(limit);
      console.error(`${program}: ${error.message}`);
      resolve({ ok: false, output });
    });
    child.on("close", (code) => {
      clearTimeout(limit);
      process.stdout.write(shown);
      resolve({ ok: code === 0, output });
    });
  });
}

/**
 * A check counts as one.
 * @param {string} name
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {Step}
 */
function check(name, program, ...args) {
  return {
    name,
    async run() {
      const { ok } = await run(program, args, { whole: true });
      return ok ? { passed: 1, failed: 0 } : { passed: 0, failed: 1, failures: [name] };
    },
  };
}

function nativeSources() {
  return ["native", "bench", "test"].flatMap((directory) => {
    const files = readdirSync(join(ROOT, directory), { recursive: true, encoding: "utf8" });
    return files.filter((name) => /\.(c|cpp|h)$/.test(name)).map((name) => join(directory, name));
  });
}

/** The C++ tests print their own counts, each part of them; a run that ends badly without a failure counted is one. */
async function nativeTests() {
  const { ok, output } = await run("make", [...MAKE, "--keep-going", "test"]);
  let passed = 0;
  let failed = 0;
  for (const [, more, bad] of output.matchAll(/^native: (\d+) passed, (\d+) failed$/gm)) {
    passed += Number(more);
    failed += Number(bad);
  }
  const broken = !ok && failed === 0;
  const none = ok && passed === 0;
  return {
    passed,
    failed: failed + (broken || none ? 1 : 0),
    ...(!ok && { failures: ["native: see above"] }),
    ...(none && { failures: ["native: no test was counted"] }),
  };
}

/**
 * vitest, whose counts scripts/count-reporter.mjs writes.
 * @returns {Promise<Counts>}
 */
async function vitest() {
  rmSync(COUNTS_FILE, { force: true });
  mkdirSync(join(ROOT, "build"), { recursive: true });
  const reporters = ["--reporter=default", "--reporter=./scripts/count-reporter.mjs"];
  const { ok } = await run(installed("vitest"), ["run", ...reporters], { env: { PLYBOX_TEST_COUNTS: COUNTS_FILE } });
  /** @type {Counts} */
  let counts;
  try {
    counts = JSON.parse(readFileSync(COUNTS_FILE, "utf8"));
  } catch {
    return { passed: 0, failed: 1, failures: ["vitest ended before it reported"] };
  }
  if (!ok && counts.failed === 0) return { ...counts, failed: 1, failures: ["vitest: see above"] };
  return counts;
}

/**
 * One stage after the other; what is in one runs at once. The native tests wait a good part of their time, in which the
 * other two compile.
 * @type {readonly (readonly Step[])[]}
 */
const STAGES = [
  [
    check("lint", installed("biome"), "ci", "--error-on-warnings"),
    check("native-format", "clang-format-14", "--dry-run", "-Werror", ...nativeSources()),
    check("types", installed("tsc"), "-p", "tsconfig.json"),
    check("build", installed("tsc"), "-p", "tsconfig.build.json"),
  ],
  [check("dead-code", installed("knip")), check("package", installed("publint"), "--strict")],
  [
    { name: "native", run: nativeTests },
    // Some warnings come of optimising alone, which the sanitized programs go without.
    check("aarch64", "make", ...MAKE, "aarch64", "WARNINGS=-Wall -Wextra -Werror"),
    check("fuzz", "make", ...MAKE, "fuzz", `FUZZ_SECONDS=${FUZZ_SECONDS}`),
  ],
  [{ name: "vitest", run: vitest }],
];

/** @param {readonly string[]} names */
function chosen(names) {
  const known = STAGES.flat().map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no such step: ${unknown.join(", ")}; there are ${known.join(", ")}`);
  if (names.length === 0) return STAGES;
  return STAGES.map((stage) => stage.filter(({ name }) => names.includes(name)));
}

/** @param {Step} step */
async function timed(step) {
  console.log(`\n── ${step.name}`);
  const start = performance.now();
  const counts = await step.run();
  return { ...counts, name: step.name, seconds: ((performance.now() - start) / 1000).toFixed(1) };
}

/** @param {readonly (readonly Step[])[]} stages */
async function runAll(stages) {
  /** @type {{ passed: number, failed: number, skipped: Skip[] }} */
  const total = { passed: 0, failed: 0, skipped: [] };
  /** @type {string[]} */
  const lines = [];
  for (const stage of stages) {
    for (const { name, seconds, passed, failed, skipped = [], failures = [] } of await Promise.all(stage.map(timed))) {
      lines.push(`${name.padEnd(14)} ${passed} passed, ${failed} failed in ${seconds} s`);
      for (const failure of failures) lines.push(`  failed: ${failure}`);
      total.passed += passed;
      total.failed += failed;
      total.skipped.push(...skipped);
    }
  }
  console.log(`\n${lines.join("\n")}`);
  for (const { name, reason } of total.skipped) console.log(`skipped: ${name}: ${reason}`);
  return total;
}

/** @returns {ReturnType<typeof runAll>} */
async function main() {
  try {
    const steps = chosen(process.argv.slice(2));
    setUp("test");
    return await runAll(steps);
  } catch (error) {
    console.error(`plybox: ${error instanceof Error ? error.message : error}`);
    return { passed: 0, failed: 1, skipped: [] };
  }
}

const { passed, failed, skipped } = await main();
process.exitCode = failed === 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`);
