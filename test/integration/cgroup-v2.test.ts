import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Running } from "../../src/backends/backend.ts";
import { NativeBackend } from "../../src/backends/native/native-backend.ts";
import { LayerStore } from "../../src/layers/layer-store.ts";
import type { ExecEvent, ExecReport } from "../../src/model/exec.ts";
import { newExecId, newSandboxId } from "../../src/model/ids.ts";
import type { LaunchPlan } from "../../src/model/launch-plan.ts";
import { NativeLauncher } from "../../src/native/launcher.ts";
import { AgentLink } from "../../src/wire/agent-link.ts";

// Version 2 as far as every machine has it: the hierarchy itself, into which a sandbox is cloned and in which the agent
// tracks what a command started. Its controllers may all be with version 1, so no limit is set here;
// cgroup-v2-guest.test.ts has all of them.
const ROOT = readFileSync("/proc/mounts", "utf8")
  .split("\n")
  .map((line) => line.split(" "))
  .find(([, , type]) => type === "cgroup2")?.[1];

const directory = mkdtempSync(join(tmpdir(), "plybox-v2-"));
const launcher = new NativeLauncher({ private: true });
const backend = new NativeBackend(launcher, { version: 2 });
const id = newSandboxId();
let parent: string;
let plan: LaunchPlan;
let running: Running;

beforeAll(async () => {
  if (ROOT === undefined) throw new Error("no cgroup2 file system is mounted");
  parent = join(ROOT, `plybox-v2-${process.pid}`);
  mkdirSync(parent);
  for (const name of ["layers", "uppers"]) mkdirSync(join(directory, name));
  const store = new LayerStore({
    storeDirectory: join(directory, "store"),
    mountDirectory: join(directory, "layers"),
    mounter: launcher,
    log: console,
  });
  const { mounts, binds } = await store.acquire(["host"]);
  plan = {
    version: 1,
    id,
    incarnation: 1,
    hostname: "v2",
    root: {
      layers: mounts,
      upper: { kind: "tmpfs", path: join(directory, "uppers", id), bytes: 1_048_576, inodes: 1024 },
    },
    binds,
    ids: { base: 0x7fff_0000, count: 65_536 },
    namespaces: ["mount", "pid", "network", "ipc", "uts", "cgroup", "user", "time"],
    cgroups: [{ path: join(parent, id), version: 2, set: [], roles: ["track", "memory"] }],
    resources: { openFiles: 1024 },
    capabilities: ["CAP_SETUID", "CAP_SETGID", "CAP_KILL"],
    noNewPrivileges: true,
    landlock: "all",
    shmBytes: 65_536,
    files: [],
    environment: {},
    agent: { socket: join(directory, "agent.sock") },
    dieWithLauncher: true,
  };
  running = await backend.launch(plan);
});
afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
  await backend.close();
  rmdirSync(parent);
  rmSync(directory, { recursive: true, force: true });
});

it("is joined by the clone itself", () => {
  const { pid } = running.process;
  expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toContain(`/${id}\n`);
});

it("finds what escaped its session, its group and its parent", async () => {
  using agent = new AgentLink(await running.connect(), id, 1);
  expect((await agent.hello).capabilities).toContain("cgroup");
  const escaping =
    "import os,time\nif os.fork(): time.sleep(600)\nos.setsid()\nif os.fork(): os._exit(0)\nprint(os.getpid(), flush=True)\nwhile True: print()";
  const session = await agent.exec({ exec: newExecId(), command: ["python3", "-c", escaping], outputBytes: 1000 });
  const events: ExecEvent[] = [];
  for await (const event of session) events.push(event);
  expect(events.at(-1)).toMatchObject({ kind: "exit", report: { limit: "output" } });
  const printed = events.find((event) => event.kind === "output");
  const escaped = printed?.kind === "output" ? Number(Buffer.from(printed.bytes)) : 0;
  expect(escaped).toBeGreaterThan(1);
  const look = await agent.exec({ exec: newExecId(), command: ["test", "-e", `/proc/${escaped}`] });
  let code: number | null = null;
  for await (const event of look) if (event.kind === "exit") code = event.report.code;
  expect(code).toBe(1);
});

it("refuses a command a memory limit of its own before it starts", async () => {
  using agent = new AgentLink(await running.connect(), id, 1);
  const command = "echo started > /root/started";
  await expect(agent.exec({ exec: newExecId(), command, memoryBytes: 33_554_432 })).rejects.toMatchObject({
    ...{ code: "host/missing", field: "memoryBytes" },
  });
  const look = await agent.exec({ exec: newExecId(), command: ["test", "-e", "/root/started"] });
  let report: ExecReport | undefined;
  for await (const event of look) if (event.kind === "exit") report = event.report;
  expect(report).toMatchObject({ code: 1 });
});

it("tells the time that its processes took, those of its leaves too, and the pressure", async () => {
  using agent = new AgentLink(await running.connect(), id, 1);
  const before = running.usage();
  const command = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
  const session = await agent.exec({ exec: newExecId(), command });
  let report: ExecReport | undefined;
  for await (const event of session) if (event.kind === "exit") report = event.report;
  const after = running.usage();
  const tookMs = (report?.userMs ?? 0) + (report?.systemMs ?? 0);
  expect(tookMs).toBeGreaterThan(0);
  expect((after.cpuMs ?? 0) - (before.cpuMs ?? 0)).toBeGreaterThanOrEqual(0.9 * tookMs);
  // The kernel may count it, and then does so for every cgroup.
  const counted = existsSync(join(parent, id, "cpu.pressure"));
  expect(after.pressure === null).toBe(!counted);
  if (counted) expect(after.pressure?.cpu.someMs).toBeGreaterThanOrEqual(0);
  // The launcher keeps the tmpfs to itself here, and version 2 has no controllers.
  expect(after).toMatchObject({ upperBytes: null, memoryBytes: null, network: null });
});

const frozen = () => readFileSync(join(parent, id, "cgroup.events"), "utf8").includes("frozen 1\n");

it("freezes the sandbox with what its commands started, and lets it go on", async () => {
  expect(backend.capabilities.pause).toBe(true);
  using agent = new AgentLink(await running.connect(), id, 1);
  const session = await agent.exec({ exec: newExecId(), command: "sleep 600 & echo started; wait" });
  for await (const event of session) if (event.kind === "output") break;
  await running.pause();
  await running.pause();
  expect(frozen()).toBe(true);
  const usage = agent.usage();
  await running.resume();
  expect(frozen()).toBe(false);
  expect((await usage).processes).toBeGreaterThan(2);
});

it("is gone with the sandbox, which may be frozen", async () => {
  await running.pause();
  expect(frozen()).toBe(true);
  await running[Symbol.asyncDispose]();
  expect(readdirSync(parent).filter((name) => name.startsWith("sb_"))).toEqual([]);
});
