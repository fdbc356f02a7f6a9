/** Brings a clone to where it can be built and run; does nothing that is done already. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installPackages, missingPackages } from "./debian.mjs";
import { fetchGuestKernel } from "./guest-kernel.mjs";

/** @typedef {{ version?: string, optional?: boolean }} LockEntry */

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {import("node:child_process").SpawnSyncOptions} [options]
 */
function succeeds(program, args, options = {}) {
  return spawnSync(program, args, { cwd: ROOT, stdio: "inherit", ...options }).status === 0;
}

function requireNode() {
  const { engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const [major = 0, minor = 0] = engines.node.match(/\d+/g).map(Number);
  const [ownMajor = 0, ownMinor = 0] = process.versions.node.split(".").map(Number);
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return;
  throw new Error(`Node ${engines.node} is needed, and this is ${process.versions.node}`);
}

/**
 * Mounting layers and mapping ids are root's alone; a half-run of the tests would say nothing.
 * @param {import("./debian.mjs").Purpose} purpose
 */
function requireRoot(purpose) {
  const uid = process.getuid?.();
  if (uid === 0) return;
  const missing = missingPackages(purpose);
  const packages = missing.length === 0 ? "" : `\n  these Debian packages are missing too: ${missing.join(" ")}`;
  throw new Error(`sandboxes need root, and this is run by uid ${uid}${packages}
  npm install && npm run test:unit needs no root`);
}

/**
 * Environment of npm. Node's own headers, where they are installed beside it, spare node-gyp a download.
 * @returns {NodeJS.ProcessEnv}
 */
function npmEnvironment() {
  const prefix = dirname(dirname(process.execPath));
  const header = join(prefix, "include/node/node_version.h");
  if (process.env.npm_config_nodedir !== undefined || !existsSync(header)) return process.env;
  const text = readFileSync(header, "utf8");
  const version = ["MAJOR", "MINOR", "PATCH"].map((part) => new RegExp(`NODE_${part}_VERSION (\\d+)`).exec(text)?.[1]);
  return version.join(".") === process.versions.node ? { ...process.env, npm_config_nodedir: prefix } : process.env;
}

/**
 * @param {string} path
 * @returns {Record<string, LockEntry>}
 */
const lockedPackages = (path) => JSON.parse(readFileSync(path, "utf8")).packages;

/** Whether node_modules holds what package-lock.json names; optional packages are of other platforms. */
function matchesLock() {
  const installed = join(ROOT, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return false;
  const have = lockedPackages(installed);
  return Object.entries(lockedPackages(join(ROOT, "package-lock.json"))).every(
    ([path, entry]) => path === "" || (have[path] ? have[path].version === entry.version : entry.optional === true),
  );
}

/** Whether the SQLite binding was built for this Node. */
function databaseLoads() {
  const open = "new (require('better-sqlite3'))(':memory:').close()";
  return succeeds(process.execPath, ["-e", open], { stdio: "ignore" });
}

function installModules() {
  const env = npmEnvironment();
  if (!matchesLock()) {
    console.log("installing the npm packages; the SQLite binding takes a minute where it has to be compiled");
    if (!succeeds("npm", ["ci", "--no-audit", "--no-fund"], { env })) throw new Error("npm ci failed");
  }
  if (databaseLoads()) return;
  console.log("building the SQLite binding for this Node");
  const rebuilt = succeeds("npm", ["rebuild", "better-sqlite3"], { env });
  if (!rebuilt || !databaseLoads()) throw new Error("better-sqlite3 cannot be built for this Node; see above");
}

/**
 * Checks Node and root, installs Debian and npm packages, and builds the native programs.
 * @param {"quickstart" | "test"} purpose
 * @throws {Error} saying what is missing and how to get it
 */
export function setUp(purpose) {
  requireNode();
  requireRoot(purpose);
  installPackages(purpose);
  if (purpose === "test") fetchGuestKernel();
  installModules();
  if (!succeeds(process.execPath, ["scripts/build-native.mjs"])) throw new Error("the native programs were not built");
}

/** Compiles src/ to dist/. */
export function compile() {
  return succeeds(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"]);
}
