import { expect } from "vitest";
import { newExecId } from "../../../src/model/ids.ts";
import type { AgentTests } from "./harness.ts";
import { collect, died, ended, failureOf, lives, readPid } from "./harness.ts";

export const controlTests: AgentTests = {
  "signals the command's process group": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    const session = await link.exec({ exec, command: "sleep 1000 & echo $!; wait" });
    const events = session[Symbol.asyncIterator]();
    const child = await readPid(events);
    await link.signal(exec, "SIGTERM", "group");
    for (let next = await events.next(); !next.done; next = await events.next()) {
      if (next.value.kind === "exit") expect(next.value.report).toMatchObject({ code: null, signal: "SIGTERM" });
    }
    await died(agent, child);
  },

  "signals the process alone": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    const session = await link.exec({ exec, command: "sleep 1000 & echo $!; wait" });
    const events = session[Symbol.asyncIterator]();
    const child = await readPid(events);
    await link.signal(exec, "SIGKILL", "process");
    await ended(link, exec);
    expect(await lives(agent, child)).toBe(true);
    await agent.run(["kill", "-KILL", String(child)]);
  },

  "signals all that the command started": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    const session = await link.exec({ exec, command: "setsid sleep 1000 & echo $!; wait" });
    const child = await readPid(session[Symbol.asyncIterator]());
    await link.signal(exec, "SIGKILL", "all");
    await ended(link, exec);
    await died(agent, child);
  },

  "a signal is harmless after the command's end": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    await collect(await link.exec({ exec, command: ["true"] }));
    await link.signal(exec, "SIGKILL", "all");
    await link.signal(exec, "SIGTERM", "group");
  },

  "refuses a signal that does not exist, or to nobody": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    await link.exec({ exec, command: ["cat"], stdin: true });
    const unknown = await failureOf(link.signal(exec, "SIGNOPE", "group"));
    expect(unknown).toMatchObject({ code: "exec/refused", field: "signal" });
    const nobody = await failureOf(link.signal(newExecId(), "SIGTERM", "group"));
    expect(nobody.code).toBe("exec/not-found");
  },

  "tells what it uses": async (agent) => {
    const link = await agent.link();
    const before = await link.usage();
    expect(before.rssBytes).toBeGreaterThan(0);
    expect(before.uptimeMs).toBeGreaterThan(0);
    const after = await link.usage();
    expect(after.uptimeMs).toBeGreaterThan(before.uptimeMs);
    expect(after.processes).toBeGreaterThan(0);
  },

  "lists the processes that it sees, with what they use": async (agent) => {
    const link = await agent.link();
    const { pid } = await link.exec({ exec: newExecId(), command: ["sleep", "600"], stdin: true });
    const look = async () => {
      const { processes, total } = await link.processes();
      expect(processes).toHaveLength(total);
      return processes.find((process) => process.pid === pid);
    };
    // In the midst of its execve a process has no command line, and its first pages are counted some time after.
    await expect.poll(look).toMatchObject({ uid: 0, user: "root", command: "sleep 600", threads: 1 });
    await expect.poll(async () => (await look())?.rssBytes).toBeGreaterThan(0);
  },

  "stop ends every command and then the agent": async (agent) => {
    const link = await agent.link();
    const session = await link.exec({ exec: newExecId(), command: "trap '' TERM; echo $$; while :; do sleep 1; done" });
    const pid = await readPid(session[Symbol.asyncIterator]());
    await link.stop();
    expect(await agent.subject.exited()).toBe(0);
    expect(await link.ended).toMatchObject({ code: "agent/unreachable" });
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  },

  "serves several connections at once": async (agent) => {
    const links = await Promise.all(Array.from({ length: 8 }, () => agent.link()));
    const outputs = await Promise.all(
      links.map(
        async (link, i) => (await collect(await link.exec({ exec: newExecId(), command: `echo ${i}` }))).stdout,
      ),
    );
    expect(outputs).toEqual(links.map((_, i) => `${i}\n`));
  },
};
