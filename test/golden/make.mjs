// Writes the golden frames from docs/protocol.md, byte by byte, without the codecs that they check.
// Usage: node test/golden/make.mjs [directory]
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SANDBOX = "sb_01k6zq3v9nabcdefghjkmnpqrs";
const EXEC = "ex_01k6zq3w2mtvwxyz0123456789";
const KINDS = { hello: 1, open: 2, ack: 3, data: 4, end: 5, credit: 6, exit: 7, error: 8, close: 9, lost: 10, progress: 11 };

const open = (channel, json) => ({ kind: "open", channel, json });
const ack = (channel, json) => ({ kind: "ack", channel, json });
const exit = (channel, json) => ({ kind: "exit", channel, json });
const error = (channel, json) => ({ kind: "error", channel, json });
const hello = (json) => ({ kind: "hello", channel: 0, json });
const data = (channel, stream, offset, payloadHex) => ({ kind: "data", channel, stream, offset, payloadHex });
const end = (channel, stream, offset) => ({ kind: "end", channel, stream, offset });
const credit = (channel, bytes) => ({ kind: "credit", channel, bytes });
const close = (channel) => ({ kind: "close", channel });
const lost = (channel, stream, from, to) => ({ kind: "lost", channel, stream, from, to });

const hostHello = { generation: 1, role: "host", sandbox: SANDBOX, incarnation: 3 };
const agentHello = {
  generation: 1,
  role: "agent",
  version: "0.1.0",
  sandbox: SANDBOX,
  incarnation: 3,
  capabilities: ["exec", "attach", "list", "signal", "resize", "forget", "usage", "stop", "cgroup", "memory-events"],
};
const report = {
  exec: EXEC,
  code: 0,
  signal: null,
  limit: null,
  wallMs: 1.2,
  userMs: 0.4,
  systemMs: 0.6,
  peakRssBytes: 3145728,
  stdoutBytes: 2,
  stderrBytes: 0,
};
const verdict = {
  result: "success",
  code: 0,
  signal: null,
  limit: null,
  memoryEvidence: null,
  wallMs: 9.1,
  cpuMs: 8.7,
  compileMs: null,
  peakBytes: 8454144,
  stdoutBytes: 2,
  stderrBytes: 0,
  compileOutput: "",
  compileOutputLost: 0,
};
const plan = {
  version: 1,
  id: SANDBOX,
  incarnation: 1,
  hostname: "web-1",
  root: {
    layers: [
      { path: "/run/plybox/layers/000-busybox", idmap: true },
      { path: "/run/plybox/layers/110-tools", idmap: false },
    ],
    upper: { kind: "tmpfs", path: `/run/plybox/uppers/${SANDBOX}`, bytes: 1073741824, inodes: 262144 },
  },
  binds: [{ source: "/usr", target: "/usr", readOnly: true, owner: "keep", hide: ["/src"] }],
  ids: { base: 1879048192, count: 65536 },
  namespaces: ["mount", "pid", "network", "ipc", "uts", "cgroup", "user"],
  cgroups: [
    {
      path: `/sys/fs/cgroup/memory/plybox/${SANDBOX}`,
      version: 1,
      set: [["memory.limit_in_bytes", "536870912"]],
      roles: ["memory"],
    },
  ],
  resources: { openFiles: 65536, fileBytes: 1073741824 },
  capabilities: ["CAP_CHOWN"],
  noNewPrivileges: true,
  landlock: "writes",
  shmBytes: 268_435_456,
  seccomp: { sandbox: "/run/plybox/filters/0a1b.bpf", commands: "/run/plybox/filters/2c3d.bpf" },
  files: [{ path: "/etc/hosts", content: "127.0.0.1 localhost\n" }],
  environment: { A: "b" },
  agent: { socket: `/run/plybox/sandboxes/${SANDBOX}/agent.sock` },
  dieWithLauncher: false,
};

const good = {
  "hello-host": [hello(hostHello)],
  "hello-agent": [hello(agentHello)],
  "hello-launcher": [
    hello({ ...hostHello, sandbox: "", incarnation: 0 }),
    hello({ generation: 1, role: "launcher", version: "0.1.0", sandbox: "", incarnation: 0, capabilities: ["launch"] }),
  ],

  "open-exec-argv": [open(1, { type: "exec", exec: EXEC, argv: ["/bin/true"] })],
  "open-exec-shell": [open(2, { type: "exec", exec: EXEC, shell: "echo \"grüße\" | tr a-z A-Z\n" })],
  "open-exec-full": [
    open(7, {
      type: "exec",
      exec: EXEC,
      argv: ["python3", "-c", "print(1)"],
      cwd: "/root",
      env: { A: "b", EMPTY: "" },
      user: "root",
      stdin: true,
      merge: false,
      pty: { columns: 80, rows: 24 },
      wallMs: 10000,
      cpuMs: 5000,
      pids: 64,
      memoryBytes: 67108864,
      outputBytes: 1000000,
      ringBytes: 1048576,
    }),
  ],
  "open-attach": [open(8, { type: "attach", exec: EXEC, stdout: 4294967296, stderr: 0 })],
  "open-read": [open(24, { type: "read", exec: EXEC, stdout: 0, stderr: 4294967296, follow: false })],
  "open-list": [open(9, { type: "list" })],
  "open-signal": [open(10, { type: "signal", exec: EXEC, signal: "SIGTERM", scope: "group" })],
  "open-resize": [open(11, { type: "resize", exec: EXEC, columns: 132, rows: 50 })],
  "open-wait": [open(21, { type: "wait", exec: EXEC })],
  "open-input": [open(22, { type: "input", exec: EXEC })],
  "open-forget": [open(12, { type: "forget", exec: EXEC })],
  "open-dial-port": [open(18, { type: "dial", port: 8080, host: "127.0.0.1" })],
  "open-dial-socket": [open(19, { type: "dial", socket: "/run/x.sock" })],
  "open-ports": [open(20, { type: "ports" })],
  "open-usage": [open(13, { type: "usage" })],
  "open-execute": [
    open(22, {
      type: "execute",
      source: "int main() { return 0; }\n",
      sourceName: "main.c",
      compile: ["gcc", "-O2", "-o", "main", "main.c"],
      run: ["./main"],
      stdin: { base64: "AAEC" },
      env: { A: "b" },
      wallMs: 10000,
      cpuMs: 2000,
      memoryBytes: 67108864,
      outputBytes: 1000000,
      compileWallMs: 30000,
      processes: 128,
      ringBytes: 1048576,
    }),
  ],
  "open-execute-stream": [
    open(23, {
      type: "execute",
      source: { base64: "AAH/" },
      sourceName: "b",
      run: ["od", "-An", "-tx1", "b"],
      stdinStream: true,
    }),
  ],
  "open-stop": [open(14, { type: "stop" })],

  "open-launch": [open(1, { type: "launch", plan })],
  "open-expect": [
    open(2, { type: "expect", ids: plan.ids, namespaces: plan.namespaces, cgroups: plan.cgroups }),
  ],
  "open-launch-image": [
    open(25, {
      type: "launch",
      plan: {
        ...plan,
        root: {
          ...plan.root,
          upper: {
            kind: "image",
            path: `/run/plybox/uppers/${SANDBOX}`,
            image: `/var/lib/plybox/uppers/${SANDBOX}.ext4`,
          },
        },
      },
    }),
  ],
  "open-launch-disk": [
    open(1, {
      type: "launch",
      plan: {
        ...plan,
        root: {
          ...plan.root,
          upper: {
            kind: "disk",
            path: `/var/lib/plybox/uppers/${SANDBOX}`,
            quota: { bytes: 1073741824, referenced: "/sys/fs/btrfs/1/qgroups/1_7/referenced", reserved: "/sys/fs/btrfs/1/qgroups/1_7/rsv_data" },
          },
        },
        failAt: "overlay",
      },
    }),
  ],
  "open-adopt": [open(2, { type: "adopt", pid: 4711, startTime: 123456 })],
  "open-destroy": [
    open(3, {
      type: "destroy",
      pid: 4711,
      startTime: 123456,
      cgroups: [`/sys/fs/cgroup/memory/plybox/${SANDBOX}`],
      unmount: [`/run/plybox/uppers/${SANDBOX}`],
      remove: [`/run/plybox/sandboxes/${SANDBOX}`],
    }),
  ],
  "open-mount-image": [
    open(4, {
      type: "mount-image",
      image: "/var/lib/plybox/layers/000-busybox/image.squashfs",
      format: "squashfs",
      target: "/run/plybox/layers/000-busybox",
    }),
  ],
  "open-mount-memory": [
    open(26, { type: "mount-memory", target: "/run/plybox/pools/memory.image", bytes: 8589934592 }),
  ],
  "open-mount-pool": [
    open(27, { type: "mount-pool", image: "/var/lib/plybox/pool.btrfs", target: "/run/plybox/pools/disk" }),
  ],
  "open-subvolumes": [
    open(28, {
      type: "subvolumes",
      steps: [
        { do: "limit", path: "/run/plybox/pools/disk", group: 7, bytes: 1073741824 },
        { do: "limit", path: "/run/plybox/pools/disk", group: 281474976710655 },
        { do: "create", path: `/run/plybox/pools/disk/uppers/${SANDBOX}.1`, group: 7 },
        {
          do: "snapshot",
          path: "/run/plybox/pools/disk/checkpoints/cp_1",
          source: `/run/plybox/pools/disk/uppers/${SANDBOX}.1`,
          group: 7,
          readOnly: true,
        },
        { do: "delete", path: "/run/plybox/pools/disk/checkpoints/cp_1" },
        { do: "prune", path: "/run/plybox/pools/disk" },
      ],
    }),
  ],
  "open-graft": [
    open(29, {
      type: "graft",
      pid: 4711,
      startTime: 123456,
      layer: { path: "/run/plybox/layers/300-tool", idmap: true },
      upper: `/run/plybox/uppers/${SANDBOX}`,
      work: "0123abcd",
      ids: { base: 1879048192, count: 65536 },
      setuid: false,
      points: ["/opt/tool", "/srv/data"],
    }),
  ],
  "open-unmount": [open(5, { type: "unmount", target: "/run/plybox/layers/000-busybox" })],
  "open-probe": [open(6, { type: "probe", what: "idmap", path: "/var/lib/plybox" })],

  "ack-empty": [ack(10, {})],
  "ack-exec": [ack(1, { pid: 7 })],
  "ack-attach": [ack(8, { pid: 7, stdinOffset: 12, running: true })],
  "ack-read": [ack(24, { pid: 7, stdout: { from: 0, to: 2 }, stderr: { from: 4294967296, to: 4294967297 }, report: null })],
  "ack-list": [ack(9, { execs: [{ exec: EXEC, pid: 7, running: true, stdoutBytes: 2, stderrBytes: 0, wallMs: 1.2, report: null }, { exec: EXEC, pid: 8, running: false, stdoutBytes: 2, stderrBytes: 0, wallMs: 1.2, report }] })],
  "ack-ports": [ack(20, { ports: [{ port: 80, addresses: ["0.0.0.0", "::1"] }] })],
  "ack-usage": [ack(13, { processes: 3, rssBytes: 811008, uptimeMs: 1234.5 })],
  "ack-launch": [
    ack(1, {
      pid: 4711,
      startTime: 123456,
      steps: "overlay:38.200 pivot:4.000",
    }),
  ],

  "exit-read": [exit(24, { report: null })],
  "exit-dial": [exit(18, { inBytes: 8, outBytes: 6 })],
  "exit-exec": [exit(1, report)],
  "exit-exec-signal": [exit(1, { ...report, code: null, signal: "SIGSEGV" })],
  "exit-exec-limit": [exit(1, { ...report, code: null, signal: "SIGKILL", limit: "memory", limitsMet: { memoryKills: 1, refusedForks: 2, upperFull: "inodes" }, memoryPeakBytes: 67108864 })],
  "exit-execute": [exit(22, verdict)],
  "exit-execute-memory": [
    exit(22, {
      ...verdict,
      result: "memory_exceeded",
      code: null,
      signal: "SIGKILL",
      limit: "memory",
      memoryEvidence: "resident",
      compileMs: 41.5,
    }),
  ],
  "exit-execute-compile": [
    exit(22, {
      ...verdict,
      result: "compilation_error",
      code: 1,
      wallMs: 0,
      cpuMs: 0,
      compileMs: 41.5,
      peakBytes: 0,
      stdoutBytes: 0,
      compileOutput: "main.c:1:1: error: “x” is unknown\n",
      compileOutputLost: 4096,
    }),
  ],
  "exit-launch": [exit(1, { code: null, signal: "SIGKILL" })],

  "error-not-found": [
    error(1, { code: "not-found", message: "no such program: nope", step: "execve", errno: "ENOENT" }),
  ],
  "error-field": [error(1, { code: "bad-request", message: "unknown field", field: "plan.root.extra" })],
  "error-connection": [error(0, { code: "unsupported-generation", message: "generation 9 is not spoken here" })],

  "data-stdout": [data(7, 1, 5, "68656c6c6f0a")],
  "data-stderr-binary": [data(7, 2, 4294967296, "00ff80fe7f0a0d")],
  "data-stdin": [data(4294967295, 0, 0, "2a")],
  "data-empty": [data(7, 1, 5, "")],
  "data-last-offset": [data(7, 1, 9007199254740990, "61")],
  "end-stdout": [end(7, 1, 1048576)],
  "end-stdin": [end(7, 0, 0)],
  "credit": [credit(7, 262144)],
  "credit-limits": [credit(1, 1), credit(1, 2147483647)],
  "close": [close(7)],
  "lost": [lost(7, 2, 0, 4294967297)],
  "progress": [
    {
      kind: "progress",
      channel: 1,
      json: { phase: "run", wallMs: 100.2, cpuMs: 90, residentBytes: 3145728, processes: 1, stdoutBytes: 2, stderrBytes: 0 },
    },
  ],

  "conversation-host": [
    hello(hostHello),
    open(1, { type: "exec", exec: EXEC, argv: ["cat"], stdin: true }),
    data(1, 0, 0, "6869"),
    end(1, 0, 2),
    credit(1, 2),
    close(1),
  ],
  "conversation-agent": [
    hello(agentHello),
    ack(1, { pid: 7 }),
    credit(1, 2),
    data(1, 1, 0, "6869"),
    end(1, 1, 2),
    end(1, 2, 0),
    exit(1, report),
  ],
};

/** Frames whose length or kind no decoder may accept: what follows a bad length is never needed to refuse it. */
const bad = {
  "bad-length-zero": { error: "length", bytes: raw(0, []) },
  "bad-length-four": { error: "length", bytes: raw(4, [9, 1, 0, 0]) },
  "bad-length-over": { error: "length", bytes: raw(1048577, [4]) },
  "bad-length-header-only": { error: "length", bytes: raw(0xffffffff, []) },
  "bad-length-second": { error: "length", bytes: concat([encode(close(1)), raw(3, [9, 1, 0])]) },
  "bad-kind-zero": { error: "kind", bytes: raw(5, [0, 1, 0, 0, 0]) },
  "bad-kind-twelve": { error: "kind", bytes: raw(5, [12, 1, 0, 0, 0]) },
  "bad-kind-255": { error: "kind", bytes: raw(6, [255, 1, 0, 0, 0, 0]) },
  "bad-kind-second": { error: "kind", bytes: concat([encode(credit(1, 1)), raw(5, [42, 1, 0, 0, 0])]) },
};

/** Frames of a right length and kind whose payload is not what that kind carries. */
const badPayloads = {
  "payload-data-short": raw(13, [4, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
  "payload-data-stream": raw(14, [4, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]),
  "payload-data-offset": raw(14, [4, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x20, 0]),
  "payload-end-long": raw(15, [5, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  "payload-credit-short": raw(8, [6, 1, 0, 0, 0, 1, 0, 0]),
  "payload-close-long": raw(6, [9, 1, 0, 0, 0, 0]),
  "payload-lost-short": raw(14, [10, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
  "payload-lost-backwards": raw(22, [10, 1, 0, 0, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]),
  "payload-json-array": jsonText(3, "[]"),
  "payload-json-broken": jsonText(3, '{"pid":7'),
  "payload-json-empty": jsonText(3, ""),
  "payload-json-utf8": raw(15, [3, 1, 0, 0, 0, ...[0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d, 0x20]]),
};

function payload(frame) {
  switch (frame.kind) {
    case "data": {
      const bytes = Buffer.from(frame.payloadHex, "hex");
      return concat([streamAt(frame.stream, frame.offset), bytes]);
    }
    case "end":
      return streamAt(frame.stream, frame.offset);
    case "lost":
      return concat([streamAt(frame.stream, frame.from), u64(frame.to)]);
    case "credit":
      return u32(frame.bytes);
    case "close":
      return new Uint8Array();
    default:
      return new TextEncoder().encode(JSON.stringify(frame.json));
  }
}

function encode(frame) {
  const body = payload(frame);
  return concat([u32(5 + body.length), Uint8Array.of(KINDS[frame.kind]), u32(frame.channel), body]);
}

function raw(length, rest) {
  return concat([u32(length), Uint8Array.from(rest)]);
}

function jsonText(kind, text) {
  const body = new TextEncoder().encode(text);
  return raw(5 + body.length, [kind, 1, 0, 0, 0, ...body]);
}

function streamAt(stream, offset) {
  return concat([Uint8Array.of(stream), u64(offset)]);
}

function u32(value) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function u64(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function concat(parts) {
  return new Uint8Array(Buffer.concat(parts));
}

function write(directory) {
  const folder = join(directory, "frames");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const save = (name, bytes) => {
    writeFileSync(join(folder, `${name}.bin`), bytes);
    return `${name}.bin`;
  };
  const frames = [];
  for (const [name, list] of Object.entries(good)) {
    frames.push({ file: save(name, concat(list.map(encode))), frames: list });
  }
  for (const [name, { error, bytes }] of Object.entries(bad)) frames.push({ file: save(name, bytes), error });
  const payloads = Object.entries(badPayloads).map(([name, bytes]) => ({ file: save(name, bytes), error: "payload" }));
  writeFileSync(join(folder, "frames.json"), `${JSON.stringify(frames, null, 2)}\n`);
  writeFileSync(join(folder, "payloads.json"), `${JSON.stringify(payloads, null, 2)}\n`);
}

write(process.argv[2] ?? dirname(fileURLToPath(import.meta.url)));
