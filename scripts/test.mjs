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
const MAKE = ["--no-print-directory", "-C", "native", `-j${availableParallelism()}`];

/** @param {string} name */
const installed = (name) => join(ROOT, "node_modules/.bin", name);

/**
 * Runs a program, showing what it prints.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
function run(program, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
      process.stdout.write(chunk);
    });
    child.on("error", (error) => {
      console.error(`${program}: ${error.message}`);
      resolve({ ok: false, output });
    });
    child.on("close", (code) => resolve({ ok: code === 0, output }));
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
      const { ok } = await run(program, args);
      return ok ? { passed: 1, failed: 0 } : { passed: 0, failed: 1, failures: [name] };
    },
  };
}

function nativeSources() {
  const files = readdirSync(join(ROOT, "native"), { recursive: true, encoding: "utf8" });
  return files.filter((name) => /\.(cpp|h)$/.test(name)).map((name) => join("native", name));
}

/** The C++ tests print their own counts, each part of them; a run that ends badly without a failure counted is one. */
async function nativeTests() {
  const { ok, output } = await run("make", [...MAKE, "--output-sync=target", "--keep-going", "test"]);
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
  const { ok } = await run(installed("vitest"), ["run", ...reporters], { PLYBOX_TEST_COUNTS: COUNTS_FILE });
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

/** @type {readonly Step[]} */
const STEPS = [
  check("lint", installed("biome"), "ci", "--error-on-warnings"),
  check("native-format", "clang-format-14", "--dry-run", "-Werror", ...nativeSources()),
  check("types", installed("tsc"), "-p", "tsconfig.json"),
  check("build", installed("tsc"), "-p", "tsconfig.build.json"),
  check("dead-code", installed("knip")),
  check("package", installed("publint"), "--strict"),
  { name: "native", run: nativeTests },
  check("aarch64", "make", ...MAKE, "aarch64"),
  check("fuzz", "make", ...MAKE, "fuzz", `FUZZ_SECONDS=${FUZZ_SECONDS}`),
  { name: "vitest", run: vitest },
];

/** @param {readonly string[]} names */
function chosen(names) {
  const unknown = names.filter((name) => !STEPS.some((step) => step.name === name));
  if (unknown.length === 0) return names.length === 0 ? STEPS : STEPS.filter((step) => names.includes(step.name));
  throw new Error(`no such step: ${unknown.join(", ")}; there are ${STEPS.map((step) => step.name).join(", ")}`);
}

/** @param {readonly Step[]} steps */
async function runAll(steps) {
  /** @type {{ passed: number, failed: number, skipped: Skip[] }} */
  const total = { passed: 0, failed: 0, skipped: [] };
  /** @type {string[]} */
  const lines = [];
  for (const step of steps) {
    console.log(`\n── ${step.name}`);
    const start = performance.now();
    const counts = await step.run();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    lines.push(`${step.name.padEnd(14)} ${counts.passed} passed, ${counts.failed} failed in ${seconds} s`);
    for (const failure of counts.failures ?? []) lines.push(`  failed: ${failure}`);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped.push(...(counts.skipped ?? []));
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
