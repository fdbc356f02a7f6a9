/**
 * `npm run fuzz`: for ten minutes, or `-- --seconds N`, every decoder gets what nobody sane would send it: the native ones
 * under libFuzzer, one after the other, and beside them the TypeScript side. Ends with a line for each, and fails where
 * one of them crashed. The corpora stay in build/, so that the next run goes on where this one was;
 * `-- --only wire,tar-reader` runs the named ones alone.
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT, setUp } from "./set-up.mjs";

/** @typedef {{ name: string, executions: string, coverage: string, corpus: string, ok: boolean }} Result */

const WIRE = "wire";
const MAKE = ["--no-print-directory", "-C", "native", `-j${availableParallelism()}`];
const native = readdirSync(join(ROOT, "native/fuzz"))
  .filter((file) => file.endsWith(".cpp"))
  .map((file) => file.slice(0, -".cpp".length));

/**
 * Runs a program and keeps what it prints, which is shown only where it fails.
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
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        output = (output + chunk).slice(-1_000_000);
      });
    }
    child.on("error", (error) => resolve({ ok: false, output: String(error) }));
    child.on("close", (code) => {
      if (code !== 0) process.stdout.write(output.slice(-20_000));
      resolve({ ok: code === 0, output });
    });
  });
}

/** @param {string} text @param {RegExp} pattern */
const last = (text, pattern) => [...text.matchAll(pattern)].at(-1)?.[1] ?? "?";

/**
 * @param {string} name
 * @param {number} seconds
 * @returns {Promise<Result>}
 */
async function fuzzNative(name, seconds) {
  const built = await run("make", [...MAKE, `../build/native/fuzz/${name}`]);
  if (!built.ok) return { name, executions: "0", coverage: "?", corpus: "?", ok: false };
  const { ok, output } = await run("make", [...MAKE, `fuzz-${name}`, `FUZZ_SECONDS=${seconds}`]);
  return {
    name,
    executions: last(output, /^Done (\d+) runs/gm),
    coverage: `${last(output, /cov: (\d+)/g)} edges`,
    corpus: last(output, /corp: (\d+)/g),
    ok,
  };
}

/**
 * @param {number} seconds
 * @returns {Promise<Result>}
 */
async function fuzzWire(seconds) {
  const { ok, output } = await run(join(ROOT, "node_modules/.bin/vitest"), ["run", "--project", "fuzz"], {
    PLYBOX_FUZZ_SECONDS: String(seconds),
    PLYBOX_FUZZ_CORPUS: join(ROOT, "build/fuzz/wire"),
  });
  console.log(last(output, /^(wire: .*)$/gm));
  return {
    name: WIRE,
    executions: last(output, /^wire: (\d+) executions/gm),
    coverage: `${last(output, /executions, (\d+) verdicts/g)} verdicts`,
    corpus: last(output, /corpus (\d+)/g),
    ok,
  };
}

const { values } = parseArgs({ options: { seconds: { type: "string", default: "600" }, only: { type: "string" } } });
const seconds = Number(values.seconds);
if (!Number.isInteger(seconds) || seconds < 1) throw new Error(`--seconds ${values.seconds} is no number of seconds`);
const all = [...native, WIRE];
const chosen = values.only?.split(",") ?? all;
const unknown = chosen.filter((name) => !all.includes(name));
if (unknown.length > 0) throw new Error(`no such target: ${unknown.join(", ")}; there are ${all.join(", ")}`);
setUp("test");
const natives = chosen.filter((name) => name !== WIRE);
const nativeLane = async () => {
  /** @type {Result[]} */
  const results = [];
  for (const name of natives) results.push(await fuzzNative(name, Math.max(1, Math.floor(seconds / natives.length))));
  return results;
};
const lanes = await Promise.all([
  nativeLane(),
  ...(chosen.includes(WIRE) ? [fuzzWire(seconds).then((one) => [one])] : []),
]);
const results = lanes.flat();
for (const { name, executions, coverage, corpus, ok } of results) {
  const columns = [name.padEnd(16), `${executions.padStart(10)} executions`, coverage.padStart(14), `corpus ${corpus}`];
  console.log(`${columns.join("  ")}  ${ok ? "no crash" : "CRASHED"}`);
}
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
