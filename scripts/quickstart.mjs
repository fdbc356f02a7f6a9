/**
 * `npm run quickstart`: sets up what is missing, then runs Python in a sandbox and says how long each step took. A daemon
 * that answers already is used; otherwise one is started on its defaults, and stopped at the end.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { release } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { compile, ROOT, setUp } from "./set-up.mjs";

/** @typedef {import("../src/client/index.ts").Plybox} Plybox */
/** @typedef {import("node:child_process").ChildProcess} ChildProcess */

const COMMAND = "dist/cli/main.js";

const PROGRAM = `
import os, platform, socket
processes = [name for name in os.listdir("/proc") if name.isdigit()]
interfaces = [name for _, name in socket.if_nameindex()]
print(f"6 * 7 = {6 * 7}, says Python {platform.python_version()}")
print(f"process {os.getpid()} of {len(processes)} on host {socket.gethostname()}, network interfaces: {', '.join(interfaces)}")
`;

const NEXT = `
Try next:
  node ${COMMAND} run -- python3 -c 'print(6*7)'     one command, no daemon
  node ${COMMAND} serve                              the daemon; then, in another terminal:
  node ${COMMAND} create web                         a sandbox that stays
  node ${COMMAND} exec web -- sh -c 'echo hi > /root/note; cat /root/note'
  node ${COMMAND} rm web
  node ${COMMAND} doctor                             what works on this machine
README.md has the SDK, layers and limits.`;

/**
 * Does a step, and prints its name and how long it took.
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 */
async function timed(name, work) {
  const start = performance.now();
  const result = await work();
  console.log(`${`${(performance.now() - start).toFixed(1)} ms`.padStart(10)}  ${name}`);
  return result;
}

/**
 * Starts the daemon and waits until it says that it listens.
 * @throws {Error} when it ends before
 */
async function startDaemon() {
  const child = spawn(process.execPath, [COMMAND, "serve"], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stderr.on("data", (chunk) => {
    log += chunk;
  });
  const listening = once(createInterface(child.stdout), "line");
  const ended = once(child, "close").then(([code]) => {
    throw new Error(`the daemon ended with ${code} before it listened:\n${log}`);
  });
  await Promise.race([listening, ended]);
  ended.catch(() => {}); // From here on its end is what is asked of it.
  return child;
}

/** @param {ChildProcess} child */
async function stopDaemon(child) {
  const ended = once(child, "close");
  child.kill("SIGTERM");
  await ended;
}

/** @param {Plybox} plybox */
async function answers(plybox) {
  return plybox.health().then(
    () => true,
    () => false,
  );
}

/** @param {Plybox} plybox */
async function runPython(plybox) {
  const sandbox = await timed("create a sandbox on the host layer", () => plybox.create({ layers: ["host"] }));
  try {
    const result = await timed("run a Python program in it", () => sandbox.exec(["python3", "-c", PROGRAM.trim()]));
    await timed("run /bin/true in it", () => sandbox.exec(["/bin/true"]));
    console.log(`\n${result.stdout}${result.stderr}`.replace(/\n(?=.)/g, "\n    | "));
    if (result.exitCode !== 0) throw new Error(`Python ended with ${result.exitCode ?? result.signal}`);
  } finally {
    await timed("remove it", () => sandbox.remove());
  }
}

async function main() {
  setUp("quickstart");
  if (!compile()) throw new Error("src/ does not compile; see above");
  /** @type {typeof import("../src/client/index.ts")} */
  const client = await import(pathToFileURL(join(ROOT, "dist/client/index.js")).href);
  const plybox = new client.Plybox();
  console.log(`\nPlybox on Node ${process.versions.node}, Linux ${release()}\n`);
  const isRunning = await answers(plybox);
  if (isRunning) console.log("            a daemon is running already");
  const daemon = isRunning ? undefined : await timed("start the daemon", startDaemon);
  try {
    await runPython(plybox);
  } finally {
    plybox.close();
    if (daemon !== undefined) await timed("stop the daemon", () => stopDaemon(daemon));
  }
  console.log(NEXT);
}

try {
  await main();
} catch (error) {
  console.error(`plybox: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
