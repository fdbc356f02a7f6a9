import { expect } from "vitest";
import { newExecId } from "../../../src/model/ids.ts";
import type { AgentTests } from "./harness.ts";
import { collect, failureOf } from "./harness.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export const commandTests: AgentTests = {
  "reports how a command ended": async (agent) => {
    const exec = newExecId();
    const link = await agent.link();
    const session = await link.exec({ exec, command: ["/bin/sh", "-c", "printf out; printf err >&2; exit 3"] });
    expect(session.pid).toBeGreaterThan(0);
    const { report, stdout, stderr } = await collect(session);
    expect({ stdout, stderr }).toEqual({ stdout: "out", stderr: "err" });
    expect(report).toMatchObject({ exec, code: 3, signal: null, limit: null, stdoutBytes: 3, stderrBytes: 3 });
    expect(report.wallMs).toBeGreaterThan(0);
    expect(report.peakRssBytes).toBeGreaterThan(0);
  },

  "says hello with what it can": async (agent) => {
    const link = await agent.link();
    const { capabilities } = await link.hello;
    const requests = ["exec", "attach", "list", "signal", "resize", "forget", "usage", "stop"];
    expect(capabilities).toEqual(expect.arrayContaining(requests));
  },

  "measures the processor time that a command took": async (agent) => {
    const { report } = await agent.run("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
    expect(report.userMs + report.systemMs).toBeGreaterThan(1);
    expect(report.wallMs).toBeGreaterThan(1);
  },

  "reports the signal that ended a command": async (agent) => {
    const { report } = await agent.run("kill -SEGV $$");
    expect(report).toMatchObject({ code: null, signal: "SIGSEGV", limit: null });
  },

  "passes arguments through untouched, and a line to the shell": async (agent) => {
    const args = ["a b", "$HOME", "*", "", "ü\n", '"'];
    const { stdout } = await agent.run(["printf", "[%s]", ...args]);
    expect(Buffer.from(stdout, "latin1").toString()).toBe(args.map((arg) => `[${arg}]`).join(""));
    expect((await agent.run("echo $((6 * 7)) | cat")).stdout).toBe("42\n");
  },

  "gives a command the default environment, and the sandbox's over it": async (agent) => {
    const { stdout } = await agent.run(["env"]);
    const { SHELL, ...variables } = Object.fromEntries(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split(/=(.*)/s, 2)),
    ) as Record<string, string>;
    expect(SHELL).toMatch(/^\//);
    const defaults = { PATH: DEFAULT_PATH, LANG: "C.UTF-8", USER: "root", LOGNAME: "root", HOME: "/root" };
    expect(variables).toEqual({ ...defaults, ...agent.subject.environment });
  },

  "adds the command's own environment over it": async (agent) => {
    const { stdout } = await agent.run(["env"], { env: { LANG: "de_DE", EMPTY: "", A: "b=c d" } });
    const lines = stdout.split("\n");
    expect(lines).toEqual(expect.arrayContaining(["LANG=de_DE", "EMPTY=", "A=b=c d", `PATH=${DEFAULT_PATH}`]));
    expect(lines.filter((line) => line.startsWith("LANG="))).toHaveLength(1);
  },

  "looks a program up in the command's own PATH": async (agent) => {
    const failure = await failureOf(agent.run(["true"], { env: { PATH: "/nowhere" } }));
    expect(failure.code).toBe("exec/program-not-found");
  },

  "starts in the user's home, or where it is told": async (agent) => {
    expect((await agent.run("pwd")).stdout).toBe("/root\n");
    expect((await agent.run("pwd", { cwd: "/proc" })).stdout).toBe("/proc\n");
  },

  "runs as the user that is asked for": async (agent) => {
    const id = "echo $(id -u):$(id -g)";
    expect((await agent.run(id, { user: "1234:5678", cwd: "/" })).stdout).toBe("1234:5678\n");
    expect((await agent.run(id, { user: "root" })).stdout).toBe("0:0\n");
    expect((await agent.run("id -G", { user: "1234:5678", cwd: "/" })).stdout).toBe("5678\n");
  },

  "opens nothing but the standard streams to a command": async (agent) => {
    // The fourth is the descriptor by which `ls` reads the directory.
    expect((await agent.run(["ls", "/proc/self/fd"])).stdout).toBe("0\n1\n2\n3\n");
  },

  "starts a command with no signal blocked or ignored": async (agent) => {
    const { stdout } = await agent.run("grep -E '^Sig(Blk|Ign)' /proc/self/status");
    expect(stdout.match(/\t0{16}$/gm)).toHaveLength(2);
  },

  "says that a program is not there, or cannot be executed": async (agent) => {
    const missing = await failureOf(agent.run(["no-such-program"]));
    expect(missing).toMatchObject({ code: "exec/program-not-found", errno: "ENOENT" });
    expect(await failureOf(agent.run(["/no/such/program"]))).toMatchObject({ code: "exec/program-not-found" });
    expect(await failureOf(agent.run(["/etc/passwd"]))).toMatchObject({ code: "exec/not-executable", errno: "EACCES" });
    expect(await failureOf(agent.run(["/etc"]))).toMatchObject({ code: "exec/not-executable" });
  },

  "refuses a directory or user that is not there": async (agent) => {
    const link = await agent.link();
    const ask = (request: object) => failureOf(link.exec({ exec: newExecId(), command: ["true"], ...request }));
    expect(await ask({ cwd: "/no/such/directory" })).toMatchObject({ code: "exec/refused", errno: "ENOENT" });
    expect(await ask({ cwd: "/etc/passwd" })).toMatchObject({ code: "exec/refused", errno: "ENOTDIR" });
    expect(await ask({ user: "nobody-of-this-name" })).toMatchObject({ code: "exec/refused" });
    expect(await ask({ user: "root:no-such-group" })).toMatchObject({ code: "exec/refused" });
    // A refused command leaves no trace.
    expect(await link.list()).toEqual([]);
  },

  "refuses a second command of the same id": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    const session = await link.exec({ exec, command: ["cat"], stdin: true });
    expect(await failureOf(link.exec({ exec, command: ["true"] }))).toMatchObject({ code: "exec/exists" });
    await session.endInput();
    expect((await collect(session)).report.code).toBe(0);
    expect(await failureOf(link.exec({ exec, command: ["true"] }))).toMatchObject({ code: "exec/exists" });
  },

  "runs many commands at once on one connection": async (agent) => {
    const link = await agent.link();
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const session = await link.exec({ exec: newExecId(), command: `echo ${i}; exit ${i}` });
        const { stdout, report } = await collect(session);
        return { stdout, code: report.code };
      }),
    );
    expect(outcomes).toEqual(Array.from({ length: 100 }, (_, i) => ({ stdout: `${i}\n`, code: i })));
  },

  "leaves a command's background process running and reports the command's end": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    const session = await link.exec({ exec, command: "sleep 1000 & echo $!" });
    const { stdout, report } = await collect(session);
    expect(report.code).toBe(0);
    const pid = Number.parseInt(stdout, 10);
    expect((await agent.run(["kill", "-0", String(pid)])).report.code).toBe(0);
    expect((await agent.run(["kill", "-KILL", String(pid)])).report.code).toBe(0);
  },

  "kills a command whose start was aborted": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    const controller = new AbortController();
    const failure = failureOf(link.exec({ exec, command: ["sleep", "1000"] }, controller.signal));
    controller.abort("enough");
    expect(await failure).toBe("enough");
    for (;;) {
      const [summary] = await link.list();
      if (summary === undefined || !summary.running) break;
    }
  },
};
