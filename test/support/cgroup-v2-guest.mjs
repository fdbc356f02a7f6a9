// Runs in a guest whose cgroups are version 2 with all controllers: does to a real daemon what its users do, and prints
// a line of JSON for each thing that is to be known, `{name, value}` or `{name, error}`. It judges nothing.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { Plybox } from "/plybox/dist/client/index.js";
import { failSteps, isBegun, killWhilePausedAndRemoved } from "./cgroup-v2-faults.mjs";

const MIB = 1024 ** 2;
const ROOT = "/sys/fs/cgroup";
const CLI = "/plybox/dist/cli/main.js";
const BOMBS = "/usr/bin/guest-bombs";
const LIMITS = { memoryBytes: 64 * MIB, pids: 48, cpus: 1.5, cpuWeight: 300 };

const print = (line) => process.stdout.write(`${line}\n`);
// The first byte that the host waits for.
print("");

async function tell(name, work) {
  try {
    const from = performance.now();
    print(JSON.stringify({ name, value: await work(), ms: performance.now() - from }));
  } catch (error) {
    print(JSON.stringify({ name, error: `${error.stack}` }));
  }
}

/** What a control file says; the lines of those with keys as an object. */
const read = (cgroup, file) => readFileSync(join(cgroup, file), "utf8").trim();
const numbers = (cgroup, file) =>
  Object.fromEntries(
    read(cgroup, file)
      .split("\n")
      .map((line) => line.split(" "))
      .map(([key, value]) => [key, Number(value)]),
  );
const cgroupOf = ({ id }) => join(ROOT, "plybox", id);
const childrenOf = (cgroup) =>
  readdirSync(cgroup, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
/** The children of which it is true; one that goes meanwhile, as that of a command that ends, is none of them. */
const childrenThat = (cgroup, isSo) =>
  childrenOf(cgroup).filter((name) => {
    try {
      return isSo(join(cgroup, name));
    } catch (error) {
      if (error.code === "ENOENT" || error.code === "ENODEV") return false;
      throw error;
    }
  });
const pick = (result) => {
  const { exitCode, signal, limit, limitsMet = null, memoryPeakBytes = null, stdout } = result;
  return { exitCode, signal, limit, limitsMet, memoryPeakBytes, stdout };
};

async function startDaemon() {
  const daemon = spawn("node", [CLI, "serve", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  await once(createInterface(daemon.stdout), "line");
  return daemon;
}

/** Runs the command line tool, in whatever is put before it. */
async function plybox(words, before = []) {
  const [program, ...args] = [...before, "node", CLI, ...words];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const texts = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => (texts[0] += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (texts[1] += text));
  const [code] = await once(child, "close");
  return { code, stdout: texts[0], stderr: texts[1] };
}

/** Resolves when every command that runs may have so many processes. */
async function untilSet(path, most) {
  const isOther = (child) => read(child, "cgroup.procs") !== "" && read(child, "pids.max") !== most;
  while (childrenThat(path, isOther).length > 0) await delay(20);
}

const daemon = await startDaemon();
const client = new Plybox({ socketPath: "/run/plybox/plybox.sock" });
const create = (limits, rest = {}) => client.create({ layers: ["host"], limits, ...rest });
const box = await create(LIMITS);
const cgroup = cgroupOf(box);

await tell("controllers", () => ({
  mount: readFileSync("/proc/mounts", "utf8").split("\n").find((line) => line.includes(" cgroup2 ")),
  root: read(ROOT, "cgroup.subtree_control"),
  parent: read(join(ROOT, "plybox"), "cgroup.subtree_control"),
  sandbox: read(cgroup, "cgroup.controllers"),
  handedOn: read(cgroup, "cgroup.subtree_control"),
}));

await tell("settings", () =>
  Object.fromEntries(
    ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max", "cpu.weight"].map((file) => [
      file,
      read(cgroup, file),
    ]),
  ),
);

await tell("places", async () => {
  const { state } = await box.inspect();
  return {
    agent: readFileSync(`/proc/${state.pid}/cgroup`, "utf8").trim() === `0::/plybox/${box.id}`,
    inside: (await box.exec("cat /proc/self/cgroup /proc/1/cgroup")).stdout,
  };
});

await tell("privileged", async () => {
  // Here no filter can be loaded for a command, and it is moved instead of cloned into its cgroup.
  const other = await create({}, { allowPrivilegeEscalation: true });
  const result = pick(await other.exec("cat /proc/self/cgroup"));
  await other.remove();
  return { ...result, isLeft: existsSync(cgroupOf(other)) };
});

await tell("usage", async () => {
  await box.exec("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
  const command = await box.spawn("read line", { stdin: true });
  const usage = await box.usage();
  const kernel = {
    cpuMs: numbers(cgroup, "cpu.stat").usage_usec / 1000,
    memoryBytes: Number(read(cgroup, "memory.current")),
    memoryPeakBytes: Number(read(cgroup, "memory.peak")),
    pids: Number(read(cgroup, "pids.current")),
    someMs: Number(/^some .*total=(\d+)$/m.exec(read(cgroup, "cpu.pressure"))[1]) / 1000,
  };
  await command.end();
  await command.exit;
  return { usage, kernel };
});

await tell("quota", async () => {
  const slow = await create({ cpus: 0.25 });
  const of = cgroupOf(slow);
  const before = numbers(of, "cpu.stat");
  const from = performance.now();
  await slow.exec("while :; do :; done", { timeLimitMs: 1000 });
  const took = performance.now() - from;
  const after = numbers(of, "cpu.stat");
  const max = read(of, "cpu.max");
  await slow.remove();
  const share = (after.usage_usec - before.usage_usec) / 1000 / took;
  return { max, share, throttled: after.nr_throttled - before.nr_throttled };
});

await tell("weight", async () => {
  const boxes = await Promise.all([400, 100].map((cpuWeight) => create({ cpuWeight })));
  const spinning = await Promise.all(boxes.map((each) => each.detach("while :; do :; done")));
  const used = () => boxes.map((each) => numbers(cgroupOf(each), "cpu.stat").usage_usec);
  // The middle one: time in which the machine stands still is charged to whichever runs.
  const ratios = [];
  for (let look = 0; look < 5; look++) {
    const before = used();
    await delay(1000);
    const [heavy, light] = used().map((usec, index) => usec - before[index]);
    ratios.push(heavy / light);
  }
  await Promise.all(boxes.map((each) => each.remove()));
  return { spinning: spinning.length, ratio: ratios.sort((a, b) => a - b)[2] };
});

await tell("memory", async () => {
  const bomb = pick(await box.exec([BOMBS, "memory"]));
  const { oomKills } = await box.usage();
  const after = pick(await box.exec("exit 3"));
  return { bomb, events: numbers(cgroup, "memory.events"), oomKills, after };
});

await tell("background", async () => {
  const events = client.events({ types: ["limit.reached"], sandbox: box.id })[Symbol.asyncIterator]();
  const next = events.next();
  const before = numbers(cgroup, "memory.events").oom_kill;
  const command = pick(await box.exec(`${BOMBS} memory > /dev/null 2>&1 &`));
  while (numbers(cgroup, "memory.events").oom_kill === before) await delay(10);
  await box.usage();
  const { data } = (await next).value;
  await events.return();
  return { command, event: data };
});

await tell("forks", async () => {
  const bomb = pick(await box.exec([BOMBS, "forks"]));
  const events = numbers(cgroup, "pids.events");
  await box.exec("killall guest-bombs");
  return { bomb, events, handedOn: read(cgroup, "cgroup.subtree_control"), after: pick(await box.exec("exit 3")) };
});

await tell("storm", async () => {
  const stormed = await create({ pids: 24 });
  const path = cgroupOf(stormed);
  // A neighbour that wants to fork too, all the time, and that is not at fault.
  const neighbour = await stormed.spawn([BOMBS, "neighbour"], { stdin: true });
  const bomb = pick(await stormed.exec([BOMBS, "storm"], { timeLimitMs: 600_000 }));
  await untilSet(path, "max");
  await neighbour.end();
  const { limit, exitCode, signal } = await neighbour.exit;
  const state = {
    handedOn: read(path, "cgroup.subtree_control"),
    own: read(path, "cgroup.procs"),
    agents: read(join(path, "agent"), "cgroup.procs").split("\n").length,
  };
  await stormed.remove();
  return { bomb, neighbour: { limit, exitCode, signal }, ...state, isLeft: existsSync(path) };
});

await tell("own-pids", async () => {
  const neighbour = await box.spawn("read line; exit 3", { stdin: true });
  const bomb = pick(await box.exec([BOMBS, "forks"], { processLimit: 4, timeLimitMs: 600_000 }));
  await box.exec("killall guest-bombs");
  await neighbour.end();
  const { limit, exitCode } = await neighbour.exit;
  return { bomb, neighbour: { limit, exitCode } };
});

await tell("own-memory", async () => {
  const neighbour = await box.spawn("read line; exit 3", { stdin: true });
  const running = await box.spawn("read line", { stdin: true, memoryLimitBytes: 16 * MIB });
  const [limited] = childrenThat(cgroup, (child) => read(child, "memory.max") === String(16 * MIB));
  const swap = read(join(cgroup, limited), "memory.swap.max");
  await running.end();
  await running.exit;
  const bomb = pick(await box.exec([BOMBS, "memory"], { memoryLimitBytes: 16 * MIB }));
  const whole = pick(await box.exec([BOMBS, "memory"]));
  const smaller = pick(await box.exec([BOMBS, "memory"], { memoryLimitBytes: 1024 * MIB }));
  await neighbour.end();
  const { limit, exitCode } = await neighbour.exit;
  return {
    ...{ swap, bomb, whole, smaller, neighbour: { limit, exitCode } },
    handedOn: read(cgroup, "cgroup.subtree_control"),
  };
});

await tell("wall", async () => {
  // What left its session, its group and its parent, and does not heed SIGTERM.
  const line = `setsid sh -c 'trap "" TERM; while :; do sleep 1; done' & exec sleep 1000`;
  const result = pick(await box.exec(line, { timeLimitMs: 500 }));
  const { processes } = await box.processes();
  return { ...result, commands: processes.map(({ command }) => command).filter((command) => /sleep/.test(command)) };
});

await tell("pause", async () => {
  const spinning = await box.detach("while :; do :; done");
  const spent = () => numbers(cgroup, "cpu.stat").usage_usec;
  await box.pause();
  const frozen = { freeze: read(cgroup, "cgroup.freeze"), events: numbers(cgroup, "cgroup.events") };
  const before = spent();
  await delay(300);
  const whilePaused = spent() - before;
  await box.resume();
  const resumed = { freeze: read(cgroup, "cgroup.freeze"), events: numbers(cgroup, "cgroup.events") };
  const again = spent();
  while (spent() === again) await delay(10);
  await box.killExec(spinning.exec, "SIGKILL");
  return { frozen, whilePaused, resumed };
});

await tell("restart", async () => {
  await box.stop();
  const whenStopped = existsSync(cgroup);
  // As a predecessor leaves it that came no further: with a controller handed on, which lets no process in.
  mkdirSync(cgroup);
  writeFileSync(join(cgroup, "cgroup.subtree_control"), "+memory +pids");
  await box.start();
  const bomb = pick(await box.exec([BOMBS, "memory"], { memoryLimitBytes: 16 * MIB }));
  return { whenStopped, bomb, limit: read(cgroup, "memory.max") };
});

await tell("removal", async () => {
  await box.detach("setsid sleep 1000 & sleep 1000");
  await box.pause();
  await box.remove();
  const left = childrenThat(join(ROOT, "plybox"), (path) => !isBegun(path));
  daemon.kill("SIGTERM");
  await once(daemon, "close");
  return { left, parent: existsSync(join(ROOT, "plybox")) };
});

await tell("faults", failSteps);
await tell("kills", killWhilePausedAndRemoved);

await tell("contained", async () => {
  // As in a container: the hierarchy's root is a cgroup that holds processes, in a namespace of its own.
  const container = join(ROOT, "container");
  mkdirSync(container);
  writeFileSync(join(ROOT, "cgroup.subtree_control"), "+memory +pids +cpu");
  const enter = `echo $$ > ${container}/cgroup.procs; exec "$@"`;
  const mount = `umount ${ROOT}; mount -t cgroup2 cgroup2 ${ROOT}; exec "$@"`;
  const before = ["sh", "-c", enter, "sh", "/usr/bin/unshare", "-m", "-C", "sh", "-c", mount, "sh"];
  const result = await plybox(["run", "--memory-limit", "32M", "--json", "--", BOMBS, "memory"], before);
  return { ...result, handedOn: read(container, "cgroup.subtree_control"), children: childrenOf(container) };
});

client.close();
print(JSON.stringify({ name: "end", value: null }));
