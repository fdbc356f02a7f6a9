import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BuiltCli, sha256 } from "../support/built-cli.ts";

let plybox: BuiltCli;
let daemon: ChildProcess;

beforeAll(async () => {
  plybox = await BuiltCli.make();
  daemon = await serve();
});
afterAll(async () => {
  await plybox.run(["rm", "--all"]);
  await stop(daemon, "SIGTERM");
  plybox[Symbol.dispose]();
});

/** Resolves when the daemon says that it listens. */
async function serve(...args: readonly string[]): Promise<ChildProcess> {
  const child = plybox.start(["serve", ...args]);
  child.stderr.resume();
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  expect(line).toMatch(/^plybox listens on /);
  return child;
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const closed = once(child, "close") as Promise<[number | null]>;
  child.kill(signal);
  return (await closed)[0];
}

async function text(args: readonly string[], stdin?: string | Buffer) {
  const { exitCode, stdout, stderr } = await plybox.run(args, stdin === undefined ? {} : { stdin });
  return { exitCode, stdout: stdout.toString(), stderr };
}

/** All that comes, as text. */
async function collect(stream: Readable): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

async function json(args: readonly string[]): Promise<unknown> {
  const { stdout, stderr } = await text([...args, "--json"]);
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

describe("plybox serve", () => {
  it("listens on a socket that is its owner's alone", () => {
    const socket = statSync(join(plybox.directory, "run/plybox.sock"));
    expect(socket.mode & 0o777).toBe(0o600);
  });

  it("stops with 0 when it is asked to, and its sandboxes and their commands go on", async () => {
    expect(await text(["create", "lasting"])).toMatchObject({ exitCode: 0 });
    const script = "echo $$ > /tmp/pid; echo ready; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo went; exit 7";
    const follower = plybox.start(["exec", "lasting", "--", "sh", "-c", script]);
    let told = String(await once(follower.stdout, "data"));
    follower.stdout.on("data", (piece) => {
      told += String(piece);
    });
    const followed = once(follower, "close") as Promise<[number | null]>;
    expect(await stop(daemon, "SIGTERM")).toBe(0);
    expect(await text(["ls"])).toMatchObject({ exitCode: 125, stdout: "" });
    daemon = await serve();
    expect(await text(["exec", "lasting", "--", "sh", "-c", "kill -0 $(cat /tmp/pid) && echo alive"])).toMatchObject({
      exitCode: 0,
      stdout: "alive\n",
    });
    // Who followed it looks for the daemon, and goes on where it was.
    await text(["exec", "lasting", "--", "touch", "/tmp/go"]);
    expect((await followed)[0]).toBe(7);
    expect(told).toBe("ready\nwent\n");
    expect(await text(["rm", "lasting"])).toMatchObject({ exitCode: 0 });
  });

  it("says where it listens as JSON, and wants a token on TCP", async () => {
    const other = await BuiltCli.make();
    try {
      const child = other.start(["serve", "--json", "--listen", "127.0.0.1:0"]);
      child.stderr.resume();
      const { urls } = await readJson(child.stdout);
      const url = urls.find((each) => each.startsWith("http://127.0.0.1:")) ?? "";
      const answer = await other.run(["ls", "--url", url]);
      expect(answer).toMatchObject({ exitCode: 125, stderr: /\(auth\/missing\)\n$/ });
      expect(await stop(child, "SIGINT")).toBe(0);
    } finally {
      other[Symbol.dispose]();
    }
  });

  it("takes its settings from a file, where the other commands find it too", async () => {
    const other = await BuiltCli.make();
    try {
      const config = join(other.directory, "plybox.toml");
      writeFileSync(config, `socket = "${join(other.directory, "own.sock")}"\nlogLevel = "silent"\n`);
      const child = other.start(["serve", "--config", config]);
      await once(createInterface(child.stdout), "line");
      expect(await other.run(["ls"], { env: { PLYBOX_CONFIG: config } })).toMatchObject({ exitCode: 0 });
      expect(await other.run(["ls"])).toMatchObject({ exitCode: 125 });
      expect(await stop(child, "SIGTERM")).toBe(0);
    } finally {
      other[Symbol.dispose]();
    }
  });

  it("refuses a socket that a daemon listens on already", async () => {
    const { exitCode, stderr } = await text(["serve"]);
    expect(exitCode).toBe(125);
    expect(stderr).toMatch(/plybox: [^\n]+\n$/);
    expect(await text(["ls"])).toMatchObject({ exitCode: 0 });
  });
});

describe("a sandbox", () => {
  it("is created, listed, shown, used and removed", async () => {
    const limits = ["--memory-limit", "128M", "--pids", "64", "--cpus", "0.5", "--env", "FROM=create"];
    expect(await text(["create", "web", ...limits])).toEqual({ exitCode: 0, stdout: "web\n", stderr: "" });
    const view = {
      name: "web",
      hostname: "web",
      state: { kind: "running" },
      limits: { memoryBytes: 2 ** 27, pids: 64 },
    };
    expect(await json(["ls"])).toMatchObject([view]);
    expect(await json(["info", "web"])).toMatchObject({ ...view, env: { FROM: "create" } });
    expect((await text(["ls"])).stdout).toMatch(/^web +sb_\w{26} +running +\d+[sm] +128M +000-host$/m);
    const used = await text([
      "exec",
      "web",
      "--",
      "sh",
      "-c",
      "echo $FROM $(hostname 2>/dev/null || cat /etc/hostname)",
    ]);
    expect(used).toEqual({ exitCode: 0, stdout: "create web\n", stderr: "" });
    expect(await text(["create", "web"])).toMatchObject({ exitCode: 125, stderr: /\(sandbox\/name-taken\)\n$/ });
    expect(await text(["rm", "web"])).toEqual({ exitCode: 0, stdout: "web\n", stderr: "" });
    expect(await json(["ls"])).toEqual([]);
    expect(await text(["info", "web"])).toMatchObject({ exitCode: 125, stderr: /\(sandbox\/not-found\)\n$/ });
  });

  it("keeps what one command wrote for the next", async () => {
    await text(["create", "files"]);
    await text(["exec", "files", "--", "sh", "-c", "cat > /root/kept"], "kept\n");
    expect(await text(["exec", "files", "--", "cat", "/root/kept"])).toMatchObject({ stdout: "kept\n" });
    await text(["rm", "files"]);
  });
});

describe("plybox exec", () => {
  beforeAll(async () => void (await text(["create", "box"])));
  afterAll(async () => void (await text(["rm", "box"])));

  it.each([
    ["the command's own code", ["sh", "-c", "exit 7"], 7],
    ["128 + n for a signal", ["sh", "-c", "kill -TERM $$"], 143],
    ["127 for a program that is not there", ["no-such-program"], 127],
    ["126 for one that cannot be executed", ["/etc/hostname"], 126],
  ])("exits with %s", async (_what, command, exitCode) => {
    expect(await text(["exec", "box", "--", ...command])).toMatchObject({ exitCode, stdout: "" });
  });

  it("exits with 124 for the time limit", async () => {
    const { exitCode, stderr } = await text(["exec", "--time-limit", "200ms", "box", "--", "sleep", "600"]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 124,
      stderr: "plybox: the command ran into its time limit of 200ms\n",
    });
  });

  it("passes binary input and output through unharmed", async () => {
    const stdin = randomBytes(3 * 1024 ** 2 + 1);
    const { stdout, exitCode } = await plybox.run(["exec", "box", "--", "cat"], { stdin });
    expect(exitCode).toBe(0);
    expect(sha256(stdout)).toBe(sha256(stdin));
  });

  it("passes an interrupt on", async () => {
    const script = "trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done";
    const child = plybox.start(["exec", "box", "--", "sh", "-c", script]);
    await once(child.stdout, "data");
    expect(await stop(child, "SIGINT")).toBe(5);
  });

  it("leaves nothing running when it is interrupted twice", async () => {
    const script = "trap 'echo no' INT; echo ready; while :; do sleep 0.05; done";
    const child = plybox.start(["exec", "box", "--", "sh", "-c", script]);
    await once(child.stdout, "data");
    child.kill("SIGINT");
    expect(String(await once(child.stdout, "data"))).toBe("no\n");
    expect(await stop(child, "SIGINT")).toBe(137);
    const running = async () =>
      ((await json(["info", "box"])) as { execs: readonly { running: boolean }[] }).execs.filter(
        ({ running }) => running,
      );
    await expect.poll(running).toEqual([]);
  });
});

describe("plybox layer", () => {
  it("builds, lists, shows, uses and removes a layer", async () => {
    const tree = join(plybox.directory, "tree");
    mkdirSync(join(tree, "opt"), { recursive: true });
    writeFileSync(join(tree, "opt/hello"), "from a layer\n");
    const built = (await json(["layer", "build", "100-hello", "--from-dir", tree])) as { digest: string };
    expect(built).toMatchObject({ name: "100-hello", format: "squashfs" });
    expect(await json(["layer", "ls"])).toContainEqual(
      expect.objectContaining({ name: "100-hello", digest: built.digest }),
    );
    expect(await json(["layer", "inspect", "100-hello"])).toMatchObject({ digest: built.digest });
    const layers = ["--layer", "host", "--layer", "hello"];
    expect(await text(["run", ...layers, "--", "cat", "/opt/hello"])).toEqual({
      exitCode: 0,
      stdout: "from a layer\n",
      stderr: "",
    });
    await text(["create", "user", ...layers]);
    expect(await text(["layer", "rm", "100-hello"])).toMatchObject({ exitCode: 125, stderr: /\(layer\/in-use\)\n$/ });
    await text(["rm", "user"]);
    expect(await text(["layer", "rm", "100-hello"])).toMatchObject({ exitCode: 0, stdout: "100-hello\n" });
    expect(await text(["layer", "inspect", "100-hello"])).toMatchObject({ stderr: /\(layer\/not-found\)\n$/ });
  });

  it("does without a daemon", async () => {
    const alone = await BuiltCli.make();
    try {
      const tree = join(alone.directory, "tree");
      mkdirSync(tree);
      writeFileSync(join(tree, "file"), "text");
      expect(await alone.run(["layer", "build", "101-alone", "--from-dir", "tree"])).toMatchObject({ exitCode: 0 });
      const { stdout } = await alone.run(["layer", "ls", "--json"]);
      expect(JSON.parse(stdout.toString())).toMatchObject([{ name: "101-alone" }]);
      expect(await alone.run(["layer", "rm", "101-alone"])).toMatchObject({ exitCode: 0 });
    } finally {
      alone[Symbol.dispose]();
    }
  });

  it.each([
    ["a directory that is not there", ["--from-dir", "/no/such"], "input/invalid"],
    ["a file", ["--from-dir", "/etc/hostname"], "input/invalid"],
  ])("refuses %s", async (_what, options, code) => {
    const { exitCode, stdout, stderr } = await text(["layer", "build", "102-wrong", ...options]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 125, stdout: "" });
    expect(stderr).toMatch(new RegExp(`^plybox: [^\\n]+ \\(${code}\\)\\n$`));
  });
});

describe("plybox doctor", () => {
  it("finds that the native backend can run here", async () => {
    const { exitCode, stdout } = await text(["doctor", "--json"]);
    const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: readonly { name: string; status: string }[] };
    expect({ exitCode, ok }).toEqual({ exitCode: 0, ok: true });
    for (const name of [
      "plylaunch",
      "plyagent",
      "plyfilter",
      "plytree",
      "new namespaces",
      "overlay mounts",
      "id-mapped mounts",
      "daemon",
    ]) {
      expect(checks.find((check) => check.name === name)).toMatchObject({ status: "ok" });
    }
  });

  it("shows it as a table with a verdict", async () => {
    const { stdout } = await text(["doctor"]);
    expect(stdout).toMatch(/^STATUS +CHECK +FOUND\n/);
    expect(stdout).toMatch(/\nThe native backend can run here\.\n$/);
  });
});

describe("afterwards", () => {
  it("no mount is left below the daemon's directories", async () => {
    await text(["rm", "--all"]);
    await stop(daemon, "SIGTERM");
    try {
      expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(plybox.directory);
    } finally {
      daemon = await serve();
    }
  });
});

async function readJson(stream: NodeJS.ReadableStream): Promise<{ readonly urls: readonly string[] }> {
  let all = "";
  for await (const piece of stream) {
    all += piece;
    if (all.endsWith("}\n")) return JSON.parse(all) as { urls: readonly string[] };
  }
  throw new Error(`no JSON came: ${all}`);
}

describe("commands that nobody stays with", () => {
  it("are started, listed, shown and ended", async () => {
    expect(await text(["create", "jobs"])).toMatchObject({ exitCode: 0 });
    const script = "echo out; echo err >&2; exec sleep 600";
    const started = await text(["exec", "-d", "--key", "one", "jobs", "--", "sh", "-c", script]);
    const id = started.stdout.trim();
    expect(id).toMatch(/^ex_/);
    const again = await text(["exec", "-d", "--key", "one", "jobs", "--", "sh", "-c", script]);
    expect(again.stdout).toBe(started.stdout);
    await expect.poll(async () => (await text(["logs", "jobs"])).stdout).toBe("out\n");
    const errors = () => text(["logs", "jobs", id, "--stderr"]);
    await expect.poll(errors).toMatchObject({ exitCode: 0, stdout: "", stderr: "err\n" });
    const follower = plybox.start(["logs", "-f", "jobs", id]);
    const followed = once(follower, "close");
    await once(follower.stdout, "data");
    expect((await text(["ps", "jobs", "--running"])).stdout).toMatch(
      new RegExp(`^EXEC.*\\n${id} +running .* local +sh -c`),
    );
    expect(await text(["kill", "jobs", id, "--signal", "kill"])).toMatchObject({ exitCode: 0 });
    await followed;
    await expect
      .poll(() => json(["ps", "jobs"]))
      .toMatchObject([{ exec: id, running: false, signal: "SIGKILL", detached: true }]);
    expect((await text(["ps", "jobs"])).stdout).toContain("SIGKILL");
    expect(await text(["kill", "jobs", id, "--signal", "nonsense"])).toMatchObject({ exitCode: 125 });
    expect(await text(["rm", "jobs"])).toMatchObject({ exitCode: 0 });
  });

  it("are looked at beside those who follow them, who miss nothing", async () => {
    expect(await text(["create", "watched"])).toMatchObject({ exitCode: 0 });
    // One write: whoever has seen a part of it has all of it.
    const script = "printf 'line 1\\nline 2\\nline 3\\n'; read go; echo last; echo err >&2; exit 3";
    const own = plybox.start(["exec", "-i", "watched", "--", "sh", "-c", script]);
    const heard = collect(own.stdout);
    await once(own.stdout, "data");
    const followers = [plybox.start(["logs", "-f", "watched"]), plybox.start(["logs", "-f", "--tail", "1", "watched"])];
    const told = followers.map((follower) => collect(follower.stdout));
    await Promise.all(followers.map((follower) => once(follower.stdout, "data")));
    expect(await text(["logs", "watched"])).toEqual({ exitCode: 0, stdout: "line 1\nline 2\nline 3\n", stderr: "" });
    expect((await text(["logs", "--tail", "2", "watched"])).stdout).toBe("line 2\nline 3\n");
    own.stdin.end("go\n");
    const all = "line 1\nline 2\nline 3\nlast\n";
    expect(await heard).toBe(all);
    expect(await Promise.all(told)).toEqual([all, "line 3\nlast\n"]);
    // Also of one that has ended, and of one whose sandbox is stopped.
    expect(await text(["logs", "watched", "--stderr"])).toEqual({ exitCode: 0, stdout: "", stderr: "err\n" });
    expect(await text(["stop", "watched"])).toMatchObject({ exitCode: 0 });
    expect(await text(["logs", "watched"])).toEqual({
      ...{
        exitCode: 0,
        stdout: "",
        stderr: "plybox: 26 bytes of stdout are lost\nplybox: 4 bytes of stderr are lost\n",
      },
    });
    expect(await text(["rm", "watched"])).toMatchObject({ exitCode: 0 });
  });

  it("are shown by the time of their start", async () => {
    expect(await text(["create", "timed"])).toMatchObject({ exitCode: 0 });
    for (const word of ["one", "two"]) await text(["exec", "timed", "--", "echo", word]);
    const [second, first] = (await json(["ps", "timed"])) as { exec: string; startedAt: string }[];
    expect(await text(["logs", "timed", "--since", "1h"])).toEqual({
      ...{ exitCode: 0, stdout: "one\ntwo\n" },
      stderr: `==> ${first?.exec} echo one <==\n==> ${second?.exec} echo two <==\n`,
    });
    expect((await text(["logs", "timed", "--since", second?.startedAt ?? ""])).stdout).toBe("two\n");
    expect(await text(["logs", "timed", "--since", "yesterday"])).toMatchObject({ exitCode: 125, stdout: "" });
    expect(await text(["logs", "timed", first?.exec ?? "", "--since", "1h"])).toMatchObject({ exitCode: 125 });
    // A reader that goes away early is no failure.
    expect(await text(["exec", "timed", "--", "seq", "1", "200000"])).toMatchObject({ exitCode: 0 });
    const early = plybox.start(["logs", "timed"]);
    const complaint = collect(early.stderr);
    early.stdout.once("data", () => early.stdout.destroy());
    expect(await once(early, "close")).toEqual([0, null]);
    expect(await complaint).toMatch(/^plybox: \d+ bytes of stdout are lost\n$/);
    expect(await text(["rm", "timed"])).toMatchObject({ exitCode: 0 });
  });

  it("end at limits of their own", async () => {
    expect(await text(["create", "limited"])).toMatchObject({ exitCode: 0 });
    const cpu = await text(["exec", "--cpu-limit", "100ms", "limited", "--", "sh", "-c", "while :; do :; done"]);
    expect(cpu).toMatchObject({ exitCode: 124, stderr: expect.stringContaining("processor time limit") });
    const output = await text(["exec", "--output-limit", "10", "limited", "--", "cat", "/dev/zero"]);
    expect(output.stderr).toContain("output limit");
    const bomb = ["sh", "-c", "tail /dev/zero"];
    const memory = await text(["exec", "--memory-limit", "32M", "limited", "--", ...bomb]);
    expect(memory).toMatchObject({
      exitCode: 137,
      stderr: expect.stringContaining("ran into its memory limit of 32M"),
    });
    const collected = await text(["exec", "--memory-limit", "32M", "--json", "limited", "--", ...bomb]);
    expect(JSON.parse(collected.stdout)).toMatchObject({ limit: "memory", memoryPeakBytes: expect.any(Number) });
    expect(await text(["rm", "limited"])).toMatchObject({ exitCode: 0 });
  });
});
