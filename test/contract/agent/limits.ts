import { expect } from "vitest";
import { newExecId } from "../../../src/model/ids.ts";
import type { AgentTests } from "./harness.ts";
import { collect, lives } from "./harness.ts";

export const limitTests: AgentTests = {
  "the processor limit counts all that the command started, and nothing but processor time": async (agent) => {
    // Two of them, in sessions of their own, each within the limit; the first process only waits.
    const burn = "setsid sh -c 'while :; do :; done' & setsid sh -c 'while :; do :; done' & wait";
    const { report } = await agent.run(burn, { cpuMs: 300 });
    expect(report).toMatchObject({ limit: "cpu", signal: "SIGTERM" });
    const idle = await agent.run("sleep 0.5; exit 3", { cpuMs: 300 });
    expect(idle.report).toMatchObject({ limit: null, code: 3 });
  },

  "the processor limit counts processes that ended, with and without anybody waiting for them": async (agent) => {
    // Each burns some 50 ms of processor time, and is far from the limit by itself.
    const burn = "sh -c 'i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done'";
    const waited = await agent.run(`while :; do ${burn}; done`, { cpuMs: 400 });
    expect(waited.report.limit).toBe("cpu");
    const orphans = await agent.run(`while :; do (${burn} &); sleep 0.05; done`, { cpuMs: 400 });
    expect(orphans.report.limit).toBe("cpu");
  },

  "ends a command at its wall limit": async (agent) => {
    const { report } = await agent.run(["sleep", "1000"], { wallMs: 50 });
    expect(report).toMatchObject({ code: null, signal: "SIGTERM", limit: "wall" });
    expect(report.wallMs).toBeGreaterThanOrEqual(50);
  },

  // What a command says brings these two to their limit, so that it is set to receive the signal by then.
  "lets a command end in its own way within a second of the limit": async (agent) => {
    const command = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    for (;;) {
      const { report } = await agent.run(command, { outputBytes: 3 });
      // The machine may have stood still for that second.
      if (report.signal === "SIGKILL" && report.wallMs > 1000) continue;
      expect(report).toMatchObject({ code: 9, signal: null, limit: "output" });
      return;
    }
  },

  "kills a command that ignores the signal": async (agent) => {
    const { report } = await agent.run("trap '' TERM; echo ready; while :; do sleep 1; done", { outputBytes: 3 });
    expect(report).toMatchObject({ code: null, signal: "SIGKILL", limit: "output" });
    expect(report.wallMs).toBeGreaterThanOrEqual(1000);
  },

  "a limit ends all that the command started": async (agent) => {
    // A child in its own session, one that has lost its parent, and one that ignores the signal.
    const command = [
      "setsid sleep 1000 & echo $!",
      "(sleep 1001 & echo $!)",
      "(trap '' TERM; sleep 1002 & echo $!; exec yes) &",
      "wait",
    ].join("\n");
    const { stdout, report } = await agent.run(command, { outputBytes: 4096 });
    expect(report.limit).toBe("output");
    const pids = stdout.split("\n").slice(0, 3).map(Number);
    for (const pid of pids) {
      expect(pid).toBeGreaterThan(1);
      expect(await lives(agent, pid)).toBe(false);
    }
  },

  "ends a command at its output limit, after exactly that much": async (agent) => {
    const { report, stdout } = await agent.run("yes", { outputBytes: 100_000 });
    expect(report.limit).toBe("output");
    expect(stdout).toHaveLength(100_000);
    expect(report.stdoutBytes).toBe(100_000);
  },

  "counts both streams against the output limit": async (agent) => {
    const command = "head -c 6000 /dev/zero; head -c 6000 /dev/zero >&2; sleep 1000";
    const { report, stdout, stderr } = await agent.run(command, { outputBytes: 10_000 });
    expect(report.limit).toBe("output");
    expect(stdout.length + stderr.length).toBe(10_000);
    expect(stdout.length).toBeGreaterThan(0);
    expect(stderr.length).toBeGreaterThan(0);
  },

  "lets pass what stays below the limits": async (agent) => {
    const { report, stdout } = await agent.run("printf 12345", { outputBytes: 5, wallMs: 60_000 });
    expect(report).toMatchObject({ code: 0, limit: null });
    expect(stdout).toBe("12345");
  },

  "keeps to the limits of a command that nobody reads": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    const session = await link.exec({ exec, command: "yes", outputBytes: 50_000_000, ringBytes: 4096 });
    session.close();
    const again = await link.attach(exec, { stdout: 0, stderr: 0 });
    const { report } = await collect(again);
    expect(report).toMatchObject({ limit: "output", stdoutBytes: 50_000_000 });
  },
};
