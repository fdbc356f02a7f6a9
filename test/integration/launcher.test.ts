import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nativeProgram } from "../../src/native/programs.ts";
import type { JsonObject } from "../../src/wire/frame.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { FrameSocket } from "../support/frame-socket.ts";
import { loopsWith } from "../support/traces.ts";

const HELLO = { generation: 1, role: "host", sandbox: "", incarnation: 0 };

let directory: string;
let launcher: FrameSocket;
let exited: Promise<unknown[]>;
let pid: number | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plybox-launcher-"));
  const args = ["--agent", nativeProgram("plyagent"), "--private"];
  const child = spawn(nativeProgram("plylaunch"), args, { stdio: ["pipe", "pipe", "inherit"], env: {} });
  exited = once(child, "exit");
  pid = child.pid;
  launcher = new FrameSocket(Duplex.from({ readable: child.stdout, writable: child.stdin }) as Socket);
});
afterEach(async () => {
  launcher.hangUp();
  await exited;
  launcher[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function greet(): Promise<void> {
  launcher.send({ kind: "hello", channel: 0, json: HELLO });
  expect((await launcher.next("hello")).json).toMatchObject({ role: "launcher", generation: 1 });
}

const open = (channel: number, json: JsonObject): void => launcher.send({ kind: "open", channel, json });

/** A plan that is sound in form; all that it would make is in the test's directory. */
function plan(changes: JsonObject = {}): JsonObject {
  return {
    version: 1,
    id: "sb_01k6zq3v9nabcdefghjkmnpqrs",
    incarnation: 1,
    hostname: "refused",
    root: root([{ path: "/usr", idmap: false }]),
    binds: [],
    ids: { base: 0x7fff_0000, count: 65_536 },
    namespaces: ["mount", "pid", "network", "ipc", "uts", "cgroup", "user"],
    cgroups: [{ path: join(directory, "cgroup"), version: 1, set: [], roles: [] }],
    capabilities: [],
    noNewPrivileges: true,
    resources: { openFiles: 65_536, fileBytes: 1_073_741_824 },
    landlock: "writes",
    shmBytes: 65_536,
    files: [],
    environment: {},
    agent: { socket: join(directory, "agent.sock") },
    dieWithLauncher: true,
    ...changes,
  };
}

function root(layers: readonly JsonObject[]): JsonObject {
  return { layers, upper: { kind: "tmpfs", path: join(directory, "upper"), bytes: 1_048_576, inodes: 1024 } };
}

describe("a launch plan", () => {
  it.each<[string, string, () => JsonObject]>([
    ["an unknown field", "plan.surprise", () => ({ surprise: 1 })],
    ["an unknown field within", "plan.agent.surprise", () => ({ agent: { socket: "/a", surprise: 1 } })],
    ["a path with ..", "plan.root.layers.0.path", () => ({ root: root([{ path: "/usr/../etc", idmap: false }]) })],
    ["65 layers", "plan.root.layers", () => ({ root: root(Array(65).fill({ path: "/usr", idmap: false })) })],
    ["the ids of the host's root", "plan.ids.base", () => ({ ids: { base: 0, count: 65_536 } })],
    ["ids below 0", "plan.ids.base", () => ({ ids: { base: -1, count: 65_536 } })],
    ["ids beyond 32 bits", "plan.ids.base", () => ({ ids: { base: 2 ** 32 - 1, count: 65_536 } })],
    ["no ids", "plan.ids.count", () => ({ ids: { base: 0x7fff_0000, count: 0 } })],
    ["a fault that nobody allowed", "plan.failAt", () => ({ failAt: "overlay" })],
  ])("with %s is refused at %s, and nothing is made", async (_, field, changes) => {
    await greet();
    open(1, { type: "launch", plan: plan(changes()) });
    expect(await launcher.next("error")).toMatchObject({ channel: 1, json: { code: "bad-request", field } });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe("a ground that is expected", () => {
  const ground = (): JsonObject => {
    const { ids, namespaces, cgroups } = plan();
    return { type: "expect", ids, namespaces, cgroups } as JsonObject;
  };

  it.each<[string, string, JsonObject]>([
    ["an unknown field", "surprise", { surprise: 1 }],
    ["the ids of the host's root", "ids.base", { ids: { base: 0, count: 65_536 } }],
    ["no user namespace", "namespaces", { namespaces: ["mount", "pid"] }],
    [
      "a cgroup at a relative path",
      "cgroups.0.path",
      { cgroups: [{ path: "cgroup", version: 1, set: [], roles: [] }] },
    ],
  ])("with %s is refused at %s", async (_, field, changes) => {
    await greet();
    open(1, { ...ground(), ...changes });
    expect(await launcher.next("error")).toMatchObject({ channel: 1, json: { code: "bad-request", field } });
  });

  it("is nobody's error where it cannot be laid, until somebody asks for it", async () => {
    await greet();
    const path = join(directory, "missing/cgroup");
    const cgroups = [{ path, version: 1, set: [], roles: [] }];
    open(1, { ...ground(), cgroups });
    expect(await launcher.next("ack")).toMatchObject({ channel: 1, json: {} });
    // It is begun when there is nothing else to do, by a thread that is started then.
    await expect.poll(() => readdirSync(`/proc/${pid}/task`)).toHaveLength(2);
    open(2, { type: "probe", what: "namespaces" });
    expect(await launcher.next("ack")).toMatchObject({ channel: 2, json: {} });
    open(3, { type: "launch", plan: plan({ cgroups }) });
    const refusal = { code: "launch-failed", step: "cgroup", errno: "ENOENT" };
    expect(await launcher.next("error")).toMatchObject({ channel: 3, json: refusal });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe("a launch with a filter", () => {
  const filter = () => join(directory, "filter.bpf");
  it.each<[string, () => string]>([
    ["that is not there", filter],
    ["that is empty", () => made("")],
    ["that ends within an instruction", () => made("123456789")],
    ["of more than 4096 instructions", () => made("x".repeat(4097 * 8))],
    ["that is a directory", () => directory],
    ["at a relative path", () => made("12345678").slice(1)],
    ["at a path with ..", () => `${directory}/../filter.bpf`],
  ])("%s is refused at its field, and nothing is made", async (_, path) => {
    const sandbox = path();
    const before = readdirSync(directory);
    await greet();
    open(1, { type: "launch", plan: plan({ seccomp: { sandbox } }) });
    const refusal = { code: "bad-request", field: "plan.seccomp.sandbox" };
    expect(await launcher.next("error")).toMatchObject({ channel: 1, json: refusal });
    expect(readdirSync(directory)).toEqual(before);
  });

  function made(program: string): string {
    writeFileSync(filter(), program);
    return filter();
  }
});

describe("a launch on an image", () => {
  it.each([
    ["that is none", (image: string) => writeFileSync(image, Buffer.alloc(1_048_576)), "EINVAL"],
    ["that is not there", () => {}, "ENOENT"],
    ["that is a directory", (image: string) => mkdirSync(image), "EISDIR"],
  ])("%s fails at its step, and leaves neither mount nor device", async (_, make, errno) => {
    const [image, path] = [join(directory, "image.ext4"), join(directory, "upper")];
    make(image);
    const before = readdirSync(directory);
    await greet();
    const upper = { kind: "image", path, image };
    open(1, { type: "launch", plan: plan({ cgroups: [], root: { layers: [{ path: "/usr", idmap: false }], upper } }) });
    expect(await launcher.next("error")).toMatchObject({ json: { code: "launch-failed", step: "upper", errno } });
    expect(readdirSync(directory)).toEqual(before);
    await expect.poll(() => loopsWith(directory)).toEqual([]);
  });
});

describe("steps in a pool", () => {
  const path = "/run/plybox/pools/memory/uppers/one";
  it.each<[string, string, unknown]>([
    ["that are no list", "steps", {}],
    ["of an unknown kind", "steps.0.do", [{ do: "format", path }]],
    ["at the root", "steps.0.path", [{ do: "delete", path: "/" }]],
    ["at a path with ..", "steps.0.path", [{ do: "delete", path: "/run/../etc" }]],
    ["without a group", "steps.0.group", [{ do: "create", path }]],
    ["of group 0", "steps.0.group", [{ do: "create", path, group: 0 }]],
    ["of a group beyond 48 bits", "steps.0.group", [{ do: "create", path, group: 2 ** 48 }]],
    ["with a field of another kind", "steps.0.bytes", [{ do: "create", path, group: 1, bytes: 1 }]],
    ["without a source", "steps.0.source", [{ do: "snapshot", path, group: 1, readOnly: true }]],
    ["that are too many", "steps", Array(4097).fill({ do: "prune", path })],
    [
      "of which the second is wrong",
      "steps.1.do",
      [
        { do: "prune", path },
        { do: "", path },
      ],
    ],
  ])("%s are refused at %s", async (_, field, steps) => {
    await greet();
    open(1, { type: "subvolumes", steps: steps as JsonObject[] });
    expect(await launcher.next("error")).toMatchObject({ channel: 1, json: { code: "bad-request", field } });
  });

  it("fail with the errno of the first that does, and what is gone counts as deleted", async () => {
    await greet();
    const missing = join(directory, "nothing/upper");
    open(1, { type: "subvolumes", steps: [{ do: "delete", path: missing }] });
    expect(await launcher.next("ack")).toMatchObject({ channel: 1, json: {} });
    // No directory of another file system is taken for a pool.
    open(2, { type: "subvolumes", steps: [{ do: "create", path: join(directory, "upper"), group: 1 }] });
    const refusal = { code: "failed", step: "subvolumes", errno: "ENOTTY" };
    expect(await launcher.next("error")).toMatchObject({ channel: 2, json: refusal });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe("the launcher", () => {
  it("answers requests in their order, sent in one piece with the hello", async () => {
    const frames = [
      encodeFrame({ kind: "hello", channel: 0, json: HELLO }),
      encodeFrame({ kind: "open", channel: 7, json: { type: "probe", what: "namespaces" } }),
      encodeFrame({ kind: "open", channel: 3, json: { type: "probe", what: "the weather" } }),
      encodeFrame({ kind: "open", channel: 9, json: { type: "unmount", target: join(directory, "nothing") } }),
    ];
    launcher.sendRaw(Buffer.concat(frames));
    await launcher.next("hello");
    expect(await launcher.next("ack")).toMatchObject({ channel: 7, json: {} });
    expect(await launcher.next("error")).toMatchObject({ channel: 3, json: { field: "what" } });
    expect(await launcher.next("ack")).toMatchObject({ channel: 9, json: {} });
  });

  it("counts as destroyed what is not there", async () => {
    await greet();
    const gone = [join(directory, "gone")];
    open(1, { type: "destroy", pid: 0, startTime: 0, cgroups: gone, unmount: gone, remove: gone });
    expect(await launcher.next("ack")).toMatchObject({ channel: 1, json: {} });
    expect(existsSync(directory)).toBe(true);
  });

  it("leaves cleanly when its input ends within a frame", async () => {
    await greet();
    const frame = encodeFrame({ kind: "open", channel: 1, json: { type: "probe", what: "namespaces" } });
    launcher.sendRaw(frame.subarray(0, frame.length - 3));
    launcher.hangUp();
    expect(await launcher.rest()).toEqual([]);
    expect(await exited).toEqual([0, null]);
  });

  it("says that garbage is no protocol, and leaves", async () => {
    await greet();
    launcher.sendRaw(Buffer.alloc(64, 0xff));
    expect(await launcher.rest()).toMatchObject([{ kind: "error", channel: 0, json: { code: "protocol" } }]);
    expect(await exited).toEqual([0, null]);
  });
});
