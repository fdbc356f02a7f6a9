import { expect } from "vitest";
import type { ExecEvent, OutputReading } from "../../../src/model/exec.ts";
import { newExecId } from "../../../src/model/ids.ts";
import type { AgentTests } from "./harness.ts";
import { collect, ended, failureOf, readStdout } from "./harness.ts";

const START = { stdout: 0, stderr: 0 };
const NOW = { from: START, follow: false };

async function read(reading: OutputReading): Promise<{ stdout: string; events: ExecEvent[] }> {
  const events: ExecEvent[] = [];
  for await (const event of reading) events.push(event);
  const pieces = events.flatMap((event) => (event.kind === "output" && event.stream === "stdout" ? [event.bytes] : []));
  return { stdout: Buffer.concat(pieces).toString("latin1"), events };
}

export const readTests: AgentTests = {
  "what a running command has written is read beside its reader, who misses nothing": async (agent) => {
    const exec = newExecId();
    const [link, other] = [await agent.link(), await agent.link()];
    const session = await link.exec({ exec, command: "printf one; read x; printf two; exit 5", stdin: true });
    const events = session[Symbol.asyncIterator]();
    expect(await readStdout(events, 3)).toBe("one");

    const reading = await other.read(exec, NOW);
    const { pid, stdout, stderr, report } = reading;
    expect({ pid, stdout, stderr, report }).toEqual({
      ...{ pid: session.pid, stdout: { from: 0, to: 3 }, stderr: { from: 0, to: 0 }, report: null },
    });
    expect(await read(reading)).toMatchObject({ stdout: "one", events: [{ kind: "output" }] });
    const part = await read(await other.read(exec, { from: { stdout: 2, stderr: 0 }, follow: false }));
    expect(part).toMatchObject({ stdout: "e", events: [{ offset: 2 }] });

    await session.write(Buffer.from("go\n"));
    expect(await readStdout(events, 3)).toBe("two");
    session.close();
    await ended(link, exec);
    const whole = await other.read(exec, NOW);
    expect(whole.report).toMatchObject({ exec, code: 5, stdoutBytes: 6 });
    expect((await collect(whole)).stdout).toBe("onetwo");
  },

  "any number follow a command to its end, beside the one who listens": async (agent) => {
    const exec = newExecId();
    const [link, other] = [await agent.link(), await agent.link()];
    const session = await link.exec({ exec, command: ["cat"], stdin: true });
    const follow = { from: START, follow: true };
    const following = [await link.read(exec, follow), await other.read(exec, follow)].map(collect);
    const left = await other.read(exec, follow);
    left.close();
    await session.write(Buffer.from("for all"));
    await session.endInput();
    const heard = await collect(session);
    expect(heard).toMatchObject({ stdout: "for all", lost: [] });
    for (const one of await Promise.all(following)) expect(one).toEqual(heard);
  },

  "a follower that stops reading holds back nobody, and is told what it missed": async (agent) => {
    const exec = newExecId();
    const [link, other] = [await agent.link(), await agent.link()];
    const bytes = 20_000_000;
    const command = `read go; head -c ${bytes} /dev/zero`;
    const session = await link.exec({ exec, command, stdin: true, ringBytes: 65_536 });
    const reading = await other.read(exec, { from: START, follow: true });
    await session.write(Buffer.from("\n"));
    expect(await collect(session)).toMatchObject({ lost: [], report: { stdoutBytes: bytes } });
    let next = 0;
    let missed = 0;
    for await (const event of reading) {
      if (event.kind === "output") {
        expect(event.offset).toBe(next);
        next += event.bytes.length;
      } else if (event.kind === "lost") {
        expect(event.from).toBe(next);
        missed += event.to - event.from;
        next = event.to;
      }
    }
    expect(next).toBe(bytes);
    expect(missed).toBeGreaterThan(bytes / 2);
  },

  "refuses to read a command that it does not know, and from an offset that is not yet": async (agent) => {
    const link = await agent.link();
    expect(await failureOf(link.read(newExecId(), NOW))).toMatchObject({ code: "exec/not-found" });
    const exec = newExecId();
    await collect(await link.exec({ exec, command: "echo" }));
    const beyond = link.read(exec, { from: { stdout: 2, stderr: 0 }, follow: false });
    expect(await failureOf(beyond)).toMatchObject({ code: "exec/refused" });
  },
};
