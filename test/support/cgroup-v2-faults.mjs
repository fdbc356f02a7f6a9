// What goes wrong in a guest whose cgroups are version 2: each step of a launch is made to fail, and daemon, launcher and
// agent are killed while a sandbox is paused or removed. Used by cgroup-v2-guest.mjs; it judges nothing either.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { Plybox } from "/plybox/dist/client/index.js";
import { parseConfig } from "/plybox/dist/daemon/config.js";
import { startDaemon } from "/plybox/dist/daemon/daemon.js";
import { cgroupParentOf } from "/plybox/dist/daemon/runtime.js";
import { NativeLauncher } from "/plybox/dist/native/launcher.js";

const CLI = "/plybox/dist/cli/main.js";
const HOOK = "/plybox/stop-at-state.mjs";
const TRIGGER = "/run/stop-at";

const environment = (name) => ({ PLYBOX_RUN_DIR: `/run/${name}`, PLYBOX_STATE_DIR: `/var/${name}` });
const listOf = (directory) => (existsSync(directory) ? readdirSync(directory) : []);

/** Whether the sandbox of this cgroup is only begun: the one that its daemon's launcher expects next. */
export function isBegun(cgroup) {
  try {
    const [pid] = readFileSync(join(cgroup, "cgroup.procs"), "utf8").split("\n");
    return pid !== "" && readFileSync(`/proc/${pid}/comm`, "utf8") === "plylaunch\n";
  } catch {
    return false; // It went since.
  }
}

/** What there is of the sandboxes of a daemon: directories of cgroups, uppers that are mounted, sockets. */
function leftBy(name) {
  const { PLYBOX_RUN_DIR: run } = environment(name);
  const parent = join("/sys/fs/cgroup", cgroupParentOf(run));
  const all = existsSync(parent) ? readdirSync(parent, { withFileTypes: true }).filter((e) => e.isDirectory()) : [];
  const cgroups = all.filter((entry) => !isBegun(join(parent, entry.name)));
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return {
    cgroups: cgroups.map((entry) => entry.name),
    mounts: mounts.filter((line) => line.includes(join(run, "uppers"))),
    sockets: listOf(join(run, "s")),
  };
}

/** Fails each step of a launch that works, and the agent's, once. */
export async function failSteps() {
  const config = parseConfig({ ...environment("faults"), PLYBOX_LOG_LEVEL: "silent" });
  const steps = [];
  const { launch } = NativeLauncher.prototype;
  NativeLauncher.prototype.launch = async function (...given) {
    const launched = await launch.apply(this, given);
    steps.push(...launched.steps.split(" ").map((step) => step.replace(/:.*/, "")));
    return launched;
  };
  let failing;
  const daemon = await startDaemon(config, { failAt: () => failing });
  const client = new Plybox({ socketPath: config.socket });
  try {
    const create = () => client.create({ name: "doomed", layers: ["host"] });
    const first = await create();
    // One that is started again is not begun before: all of it is done then.
    steps.length = 0;
    await first.restart();
    NativeLauncher.prototype.launch = launch;
    await first.remove();
    const failed = [];
    for (const step of [...steps, "agent"]) {
      failing = step;
      const { code, step: named } = await create().then(
        () => ({}),
        (error) => error,
      );
      failing = undefined;
      failed.push({ step, code, named, left: await settled(() => leftBy("faults")) });
    }
    const last = await create();
    const { stdout } = await last.exec("echo alive");
    await last.remove();
    return { failed, stdout };
  } finally {
    client.close();
    await daemon.stop();
  }
}

/** A daemon that stops itself right behind the write of the state that a file names. */
async function serve() {
  const hook = { NODE_OPTIONS: `--import ${HOOK}`, PLYBOX_TEST_STOP_AT: TRIGGER };
  const env = { ...process.env, ...environment("kills"), ...hook };
  const child = spawn("node", [CLI, "serve", "--json"], { stdio: ["ignore", "pipe", "inherit"], env });
  await once(createInterface(child.stdout), "line");
  return child;
}

const statusOf = (pid, name) =>
  new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
const pidsOf = (isOne) =>
  readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && isOne(name, readFileSync(`/proc/${name}/cmdline`, "utf8"));
    } catch {
      return false; // It has ended.
    }
  });
const kill = (pids) => pids.forEach((pid) => process.kill(Number(pid), "SIGKILL"));

/** Asks again and again; what never becomes true is told as such. */
async function until(what, isSo) {
  for (let tries = 0; !(await isSo()); tries++) {
    if (tries === 3000) throw new Error(`it never happens: ${what}`);
    await delay(10);
  }
}

/** What is left when nothing is, or does not change any more: some of it is taken away behind an answer. */
async function settled(look) {
  for (let tries = 0; ; tries++) {
    const seen = look();
    if (tries === 500 || Object.values(seen).every(({ length }) => length === 0)) return seen;
    await delay(10);
  }
}

/**
 * Kills the daemon and its launcher while one sandbox is paused and right behind the write that another is removed, then
 * the agent of the first when it has been resumed. Tells what the next daemon finds, and whether it makes that work again.
 */
export async function killWhilePausedAndRemoved() {
  let daemon = await serve();
  const client = new Plybox({ socketPath: "/run/kills/plybox.sock" });
  const find = async (name) => (await client.list()).find((each) => each.name === name);
  const kindOf = async (name) => (await find(name))?.view.state.kind ?? null;
  try {
    const [paused, removed] = await Promise.all(
      ["paused", "removed"].map((name) => client.create({ name, layers: ["host"] })),
    );
    for (const box of [paused, removed]) await box.exec("echo kept > /file; (sleep 600; true) &");
    await paused.pause();
    writeFileSync(TRIGGER, "destroyed");
    const removal = removed.remove().catch(() => {});
    await until("the removal is written", () => statusOf(daemon.pid, "State") === "T");
    kill(pidsOf((pid, line) => line.includes("plylaunch") && statusOf(pid, "PPid") === String(daemon.pid)));
    daemon.kill("SIGKILL");
    await once(daemon, "exit");
    await removal;
    daemon = await serve();
    const found = { paused: await kindOf("paused"), removed: await kindOf("removed") };
    await paused.resume();
    kill(pidsOf((_, line) => line.includes(`--sandbox\0${paused.id}`)));
    await until("the agent's end is seen", async () => (await kindOf("paused")) !== "running");
    await paused.start();
    const { stdout } = await paused.exec(["cat", "/file"]);
    await paused.remove();
    return { found, stdout, left: await settled(() => leftBy("kills")) };
  } finally {
    client.close();
    daemon.kill("SIGCONT");
    daemon.kill("SIGTERM");
    await once(daemon, "exit");
    rmSync(TRIGGER, { force: true });
  }
}
