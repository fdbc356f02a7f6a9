import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BuiltCli, sha256 } from "../support/built-cli.ts";
import { cgroupsWith, mountsWith, processesWith } from "../support/traces.ts";

let plybox: BuiltCli;
beforeAll(async () => {
  plybox = await BuiltCli.make();
});
afterAll(() => plybox[Symbol.dispose]());

const MIB = 1024 ** 2;

/** Runs a shell line, and gives what it wrote as text. */
async function shell(line: string, options: readonly string[] = []) {
  const { exitCode, stdout, stderr } = await plybox.run(["run", ...options, "--", "sh", "-c", line]);
  return { exitCode, stdout: stdout.toString(), stderr };
}

describe("plybox run, with nothing configured and no daemon", () => {
  it("runs a Python program and prints its output", async () => {
    const { exitCode, stdout, stderr } = await plybox.run(["run", "--", "python3", "-c", "print(6*7)"]);
    expect({ exitCode, stdout: stdout.toString(), stderr }).toEqual({ exitCode: 0, stdout: "42\n", stderr: "" });
  });

  it("is PID 1's child in namespaces of its own, as root inside", async () => {
    const outside = readFileSync("/proc/sys/kernel/hostname", "utf8");
    const { stdout } = await shell('id -u; cat /proc/sys/kernel/hostname; ls /proc | grep -c "^[0-9]"');
    const [uid, hostname, processes] = stdout.split("\n");
    expect(uid).toBe("0");
    expect(hostname).not.toBe(outside.trim());
    expect(Number(processes)).toBeLessThan(8);
  });
});

describe("the exit code", () => {
  it.each([
    ["0", "exit 0", 0],
    ["the command's own", "exit 7", 7],
    ["the command's own, even where it is one of ours", "exit 125", 125],
    ["128 + n of a signal", "kill -TERM $$", 143],
    ["128 + n of SIGSEGV", "kill -SEGV $$", 139],
  ])("is %s", async (_what, line, exitCode) => {
    expect(await shell(line)).toEqual({ exitCode, stdout: "", stderr: "" });
  });

  it.each([
    ["127 for a program that is not there", ["no-such-program"], 127, "exec/program-not-found"],
    ["126 for a file that cannot be executed", ["/etc/hostname"], 126, "exec/not-executable"],
    ["126 for a directory", ["/usr"], 126, "exec/not-executable"],
    ["125 for a layer that is not there", ["--layer", "404-missing", "--", "true"], 125, "layer/not-found"],
    ["125 for a directory that is not there", ["--cwd", "/no/such", "--", "true"], 125, "exec/refused"],
    ["125 for a user that is not there", ["--user", "nobody-here", "--", "true"], 125, "exec/refused"],
    ["125 for less memory than a sandbox takes", ["--memory-limit", "1K", "--", "true"], 125, "input/invalid"],
  ])("is %s", async (_what, words, exitCode, code) => {
    const result = await plybox.run(["run", ...words]);
    expect({ ...result, stdout: result.stdout.toString() }).toMatchObject({ exitCode, stdout: "" });
    expect(result.stderr).toMatch(/^plybox: [^\n]+\n$/);
    expect(result.stderr).toContain(`(${code})\n`);
  });

  it("is 124 for the time limit, which ends all that the command started", async () => {
    const { exitCode, stderr } = await shell("sleep 600 & sleep 600", ["--time-limit", "200ms"]);
    expect(exitCode).toBe(124);
    expect(stderr).toBe("plybox: the command ran into its time limit of 200ms\n");
  });

  it("is 137 for the memory limit", async () => {
    const eater = "x = b'x' * (512 * 1024 * 1024)";
    const result = await plybox.run(["run", "--memory-limit", "64M", "--", "python3", "-c", eater]);
    expect(result.exitCode).toBe(137);
    expect(result.stderr).toBe("plybox: the command ran into its memory limit of 64M\n");
  });

  it("leaves a command below its limits alone", async () => {
    const modest = "x = b'x' * (16 * 1024 * 1024); print(len(x))";
    const limits = ["--memory-limit", "256M", "--time-limit", "60s", "--pids", "64", "--cpus", "1"];
    const { exitCode, stdout } = await plybox.run(["run", ...limits, "--", "python3", "-c", modest]);
    expect({ exitCode, stdout: stdout.toString() }).toEqual({ exitCode: 0, stdout: `${16 * MIB}\n` });
  });

  it("follows a limit of processes", async () => {
    const { exitCode, stdout } = await shell("for i in $(seq 40); do sleep 5 & done; echo all", ["--pids", "16"]);
    expect(exitCode).not.toBe(0);
    expect(stdout).toBe("");
  });
});

describe("the streams", () => {
  it("pass binary input and output through unharmed", async () => {
    const stdin = randomBytes(5 * MIB + 3);
    const { exitCode, stdout, stderr } = await plybox.run(["run", "--", "cat"], { stdin });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(sha256(stdout)).toBe(sha256(stdin));
  });

  it("pass 100 MB of output through unharmed", async () => {
    const bytes = 100_000_000;
    const { exitCode, stdout } = await plybox.run(["run", "--", "sh", "-c", `seq 20000000 | head -c ${bytes}`]);
    expect(exitCode).toBe(0);
    expect(stdout.length).toBe(bytes);
    expect(sha256(stdout)).toBe(sha256(numbers(bytes)));
  });

  it("stay apart", async () => {
    expect(await shell("echo out; echo err >&2")).toEqual({ exitCode: 0, stdout: "out\n", stderr: "err\n" });
  });

  it("end the command when nobody reads its output any more", async () => {
    const child = plybox.start(["run", "--", "yes"]);
    await once(child.stdout, "data");
    child.stdout.destroy();
    const [exitCode] = await once(child, "close");
    expect(exitCode).toBe(141);
  });

  it("carry the command's stdin as it comes, and its end", async () => {
    const child = plybox.start(["run", "--", "sh", "-c", "read line; echo got $line; cat; echo over"]);
    child.stdin.write("one\n");
    const [first] = await once(child.stdout, "data");
    expect(String(first)).toBe("got one\n");
    const rest = child.stdout.toArray();
    child.stdin.end("two\n");
    expect(Buffer.concat((await rest) as Buffer[]).toString()).toBe("two\nover\n");
  });

  it("need no reader of stdin", async () => {
    const child = plybox.start(["run", "--", "echo", "done"]);
    child.stdout.resume();
    // Its input stays open; the command does not ask for it.
    const [exitCode] = await once(child, "close");
    expect(exitCode).toBe(0);
    child.stdin.destroy();
  });

  it("are collected by --json", async () => {
    const { exitCode, stdout } = await plybox.run(["run", "--json", "--", "sh", "-c", "echo out; exit 3"]);
    expect(exitCode).toBe(3);
    expect(JSON.parse(stdout.toString())).toMatchObject({ exitCode: 3, signal: null, stdout: "out\n", stderr: "" });
  });
});

describe("an interrupt", () => {
  const READY_THEN_TRAP = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done";

  /** Starts a shell line and resolves when it has said "ready". */
  async function started(line: string) {
    const child = plybox.start(["run", "--", "sh", "-c", line]);
    const output: string[] = [];
    await new Promise<void>((resolve) => {
      child.stdout.on("data", (piece: Buffer) => {
        output.push(piece.toString());
        if (output.join("").startsWith("ready\n")) resolve();
      });
    });
    return { child, ended: once(child, "close") as Promise<[number | null, string | null]>, output };
  }

  it("reaches the command, which decides", async () => {
    const { child, ended, output } = await started(READY_THEN_TRAP);
    child.kill("SIGINT");
    expect((await ended)[0]).toBe(5);
    expect(output.join("")).toBe("ready\ncaught\n");
  });

  it("of a terminal's whole process group does so too", async () => {
    const { child, ended } = await started(READY_THEN_TRAP);
    process.kill(-(child.pid ?? 0), "SIGINT");
    expect((await ended)[0]).toBe(5);
  });

  it("ends one that does not mind, as a signal does", async () => {
    const { child, ended } = await started("echo ready; exec sleep 600");
    child.kill("SIGINT");
    expect((await ended)[0]).toBe(130);
  });

  it("that comes twice kills one that ignores the first", async () => {
    const { child, ended } = await started("trap 'echo no' INT; echo ready; while :; do sleep 0.05; done");
    child.kill("SIGINT");
    expect(String(await once(child.stdout, "data"))).toBe("no\n");
    child.kill("SIGINT");
    expect((await ended)[0]).toBe(137);
  });

  it("before the command runs ends it all", async () => {
    const child = plybox.start(["run", "--", "sleep", "600"]);
    child.stdout.resume();
    await once(child, "spawn");
    const ended = once(child, "close");
    // Whether it arrives before the program listens, while the sandbox is made, or after: it ends.
    child.kill("SIGINT");
    const [exitCode, signal] = (await ended) as [number | null, string | null];
    expect([130, "SIGINT"]).toContain(exitCode ?? signal);
  });
});

describe("paths of this machine", () => {
  let work: string;
  beforeAll(() => {
    work = join(plybox.directory, "work");
    mkdirSync(join(work, "out"), { recursive: true });
    writeFileSync(join(work, "input.txt"), "from outside\n");
  });

  it("are not there unless they are allowed", async () => {
    expect(await shell(`cat ${work}/input.txt`)).toMatchObject({ exitCode: 1, stdout: "" });
  });

  it("can be read, and not written, with --allow-read", async () => {
    const line = `cat ${work}/input.txt; echo x > ${work}/input.txt`;
    const { exitCode, stdout } = await shell(line, ["--allow-read", work]);
    expect(stdout).toBe("from outside\n");
    expect(exitCode).not.toBe(0);
    expect(readFileSync(join(work, "input.txt"), "utf8")).toBe("from outside\n");
  });

  it("can be written with --allow-write, and belong to their owner afterwards", async () => {
    const { exitCode } = await shell(`echo made > ${work}/out/made.txt`, ["--allow-write", join(work, "out")]);
    expect(exitCode).toBe(0);
    const made = join(work, "out/made.txt");
    expect(readFileSync(made, "utf8")).toBe("made\n");
    expect(statSync(made).uid).toBe(statSync(work).uid);
  });

  it("keep their own access below another's", async () => {
    const options = ["--allow-write", work, "--allow-read", join(work, "out")];
    const { stdout } = await shell(
      `echo a > ${work}/new && echo yes; (echo b > ${work}/out/new) 2>&- || echo no`,
      options,
    );
    expect(stdout).toBe("yes\nno\n");
  });

  it("are where the command starts, when it is called from there", async () => {
    const { stdout } = await plybox.run(["run", "--allow-read", ".", "--", "pwd"], { cwd: work });
    expect(stdout.toString()).toBe(`${work}\n`);
  });

  it("can be one file", async () => {
    const file = join(work, "input.txt");
    expect(await shell(`cat ${file}; ls ${work}`, ["--allow-read", file])).toMatchObject({
      stdout: "from outside\ninput.txt\n",
    });
  });

  it("run as programs where they are executable", async () => {
    const script = join(work, "hello");
    writeFileSync(script, "#!/bin/sh\necho hello $1\n");
    chmodSync(script, 0o755);
    const { stdout } = await plybox.run(["run", "--allow-read", script, "--", script, "you"]);
    expect(stdout.toString()).toBe("hello you\n");
  });
});

describe("the environment", () => {
  it("is the sandbox's own but for what is passed", async () => {
    const result = await plybox.run(["run", "--env", "A=1", "--env", "SHARED", "--", "env"], {
      env: { SHARED: "yes", SECRET: "no" },
    });
    const variables = result.stdout.toString().trim().split("\n");
    expect(variables).toContain("A=1");
    expect(variables).toContain("SHARED=yes");
    expect(variables.join()).not.toContain("SECRET");
    expect(variables).toContain("HOME=/root");
  });

  it("has the user and the directory that are asked for", async () => {
    const { stdout } = await shell("id -u; pwd", ["--user", "65534:65534", "--cwd", "/usr/bin"]);
    expect(stdout).toBe("65534\n/usr/bin\n");
  });
});

describe("afterwards", () => {
  /** What a sandbox's own PID 1 is called, which names it outside too. */
  const WHO = "tr '\\0' ' ' < /proc/1/cmdline; echo";
  const idIn = (text: string): string => /sb_\w{26}/.exec(text)?.[0] ?? expect.fail(`no id in ${text}`);
  const slots = (): readonly string[] => readdirSync(join(plybox.directory, "run/run"));

  function expectNothingOf(id: string): void {
    expect(processesWith(id)).toEqual([]);
    expect(cgroupsWith(id)).toEqual([]);
    expect(mountsWith(id)).toEqual([]);
  }

  it.each([
    ["succeeded", "true", []],
    ["failed", "exit 3", []],
    ["was killed", "kill -9 $$", []],
    ["left processes behind", "setsid sleep 600 & setsid sleep 600 & exit 0", []],
    ["ran into its memory limit", "tail /dev/zero", ["--memory-limit", "32M"]],
    ["wrote a lot", "head -c 50000000 /dev/zero > /tmp/file", []],
    // It may be over before the default filter is compiled.
    ["has no filter", "true", ["--seccomp", "unconfined"]],
  ])("nothing is left of a command that %s", async (_what, line, options) => {
    const { stdout } = await shell(`${WHO}; ${line}`, options);
    expectNothingOf(idIn(stdout));
    expect(mountsWith(plybox.directory)).toEqual([]);
    expect(slots()).toEqual([]);
  });

  it("nothing is left of a command that could not be started", async () => {
    await plybox.run(["run", "--", "no-such-program"]);
    await plybox.run(["run", "--cwd", "/no/such", "--", "true"]);
    expect(mountsWith(plybox.directory)).toEqual([]);
    expect(slots()).toEqual([]);
  });

  it("a sandbox is seen by these very probes while it runs", async () => {
    const { child, id } = await running();
    expect(processesWith(id)).toHaveLength(1);
    expect(cgroupsWith(id)).not.toEqual([]);
    expect(slots()).toHaveLength(1);
    await ended(child, "SIGTERM");
    expectNothingOf(id);
  });

  it("runs with other directories share no cgroup, so that none clears another's", async () => {
    const other = await BuiltCli.make();
    const [one, two] = [await running(), await running(other)];
    try {
      const parents = cgroupsWith(one.id).map((path) => dirname(path));
      expect(parents).not.toEqual([]);
      expect(cgroupsWith(two.id).filter((path) => parents.includes(dirname(path)))).toEqual([]);
    } finally {
      await Promise.all([one, two].map(({ child }) => ended(child, "SIGTERM")));
      other[Symbol.dispose]();
    }
  });

  it("its processes end with a plybox that is killed, and the next run clears the rest", async () => {
    const { child, id } = await running();
    const [pid = 0] = processesWith(id);
    child.kill("SIGKILL");
    await once(spawn("tail", ["-s", "0.05", `--pid=${pid}`, "-f", "/dev/null"]), "close");
    expect(processesWith(id)).toEqual([]);
    await shell("true");
    expectNothingOf(id);
    expect(slots()).toEqual([]);
  });

  /** Starts a command that goes on, and resolves when it runs. */
  async function running(cli = plybox) {
    const child = cli.start(["run", "--", "sh", "-c", `${WHO}; exec sleep 600`]);
    const [first] = await once(child.stdout, "data");
    return { child, id: idIn(String(first)) };
  }
});

/** Sends a signal and resolves when the process is gone. */
async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const closed = once(child, "close");
  child.kill(signal);
  await closed;
}

/** What `seq 1 …` writes, up to so many bytes. */
function numbers(bytes: number): Buffer {
  const text = Buffer.allocUnsafe(bytes);
  for (let at = 0, next = 1; at < bytes; next++) at += text.write(`${next}\n`, at, "latin1");
  return text;
}
