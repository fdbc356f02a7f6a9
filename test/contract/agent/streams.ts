import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { ExecReport } from "../../../src/model/exec.ts";
import { newExecId } from "../../../src/model/ids.ts";
import type { AgentTests } from "./harness.ts";
import { collect, failureOf, readStdout } from "./harness.ts";

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const MB_100 = 100_000_000;
const LINE = "the quick brown fox jumps over the lazy dog\n";

/** `bytes` of LINE again and again, hashed. */
function hashOfLines(bytes: number): string {
  const hash = createHash("sha256");
  const block = Buffer.from(LINE.repeat(1000));
  for (let at = 0; at < bytes; at += block.length) hash.update(block.subarray(0, Math.min(block.length, bytes - at)));
  return hash.digest("hex");
}

export const streamTests: AgentTests = {
  "carries binary input and output unharmed": async (agent) => {
    const link = await agent.link();
    const session = await link.exec({ exec: newExecId(), command: ["cat"], stdin: true });
    await session.write(EVERY_BYTE);
    await session.endInput();
    expect((await collect(session)).stdout).toBe(EVERY_BYTE.toString("latin1"));
  },

  "carries more input than its credit, while output flows": async (agent) => {
    const link = await agent.link();
    const session = await link.exec({ exec: newExecId(), command: ["cat"], stdin: true });
    const outcome = collect(session);
    const input = Buffer.from(LINE.repeat(50_000));
    await session.write(input);
    await session.endInput();
    const { stdout } = await outcome;
    expect(stdout === input.toString("latin1")).toBe(true);
  },

  "gives credit again for input that the command has closed": async (agent) => {
    const link = await agent.link();
    const session = await link.exec({
      exec: newExecId(),
      command: "exec <&-; echo closed; read x < /dev/null; sleep 0.2",
      stdin: true,
    });
    const outcome = collect(session);
    await session.write(Buffer.alloc(2_000_000));
    expect((await outcome).report.code).toBe(0);
  },

  "lets a command read nothing where no stdin is asked for": async (agent) => {
    const { stdout, report } = await agent.run("cat; readlink /proc/self/fd/0");
    expect(stdout).toBe("/dev/null\n");
    expect(report.code).toBe(0);
  },

  "ends the command's stdin when the host does": async (agent) => {
    const link = await agent.link();
    const session = await link.exec({ exec: newExecId(), command: ["wc", "-c"], stdin: true });
    await session.endInput();
    expect((await collect(session)).stdout.trim()).toBe("0");
  },

  "merges the streams in the order of writing where asked": async (agent) => {
    const line = "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done";
    const { stdout, stderr, report } = await agent.run(line, { merge: true });
    expect(stdout).toBe("o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n");
    expect(stderr).toBe("");
    expect(report).toMatchObject({ stdoutBytes: 30, stderrBytes: 0 });
  },

  "sends output as it is written": async (agent) => {
    const link = await agent.link();
    const command = "echo one; read x; echo two; read y; echo three";
    const session = await link.exec({ exec: newExecId(), command, stdin: true });
    const events = session[Symbol.asyncIterator]();
    expect(await readStdout(events, 4)).toBe("one\n");
    await session.write(Buffer.from("\n"));
    expect(await readStdout(events, 4)).toBe("two\n");
    await session.write(Buffer.from("\n"));
    expect(await readStdout(events, 6)).toBe("three\n");
  },

  "passes 100 MB of output through, whole": async (agent) => {
    const link = await agent.link();
    const command = `yes '${LINE.trimEnd()}' | head -c ${MB_100}`;
    const session = await link.exec({ exec: newExecId(), command });
    const hash = createHash("sha256");
    let bytes = 0;
    let report: ExecReport | undefined;
    for await (const event of session) {
      if (event.kind === "output") {
        expect(event.offset).toBe(bytes);
        hash.update(event.bytes);
        bytes += event.bytes.length;
      } else if (event.kind === "exit") {
        report = event.report;
      }
    }
    expect(bytes).toBe(MB_100);
    expect(hash.digest("hex")).toBe(hashOfLines(MB_100));
    expect(report).toMatchObject({ code: 0, stdoutBytes: MB_100 });
  },

  "a reader that stops stalls only its own channel, and then misses nothing": async (agent) => {
    const link = await agent.link();
    const bytes = 8_000_000;
    const command = `yes '${LINE.trimEnd()}' | head -c ${bytes}`;
    const stalled = await link.exec({ exec: newExecId(), command, ringBytes: 65_536 });
    const reader = stalled[Symbol.asyncIterator]();
    await readStdout(reader, 1);
    // The other commands' output is far more than any buffer between the two ends.
    for (let i = 0; i < 3; i++) {
      const { stdout } = await collect(await link.exec({ exec: newExecId(), command }));
      expect(stdout).toHaveLength(bytes);
    }
    let rest = 0;
    let report: ExecReport | undefined;
    for (let next = await reader.next(); !next.done; next = await reader.next()) {
      expect(next.value.kind).not.toBe("lost");
      if (next.value.kind === "output") rest = next.value.offset + next.value.bytes.length;
      if (next.value.kind === "exit") report = next.value.report;
    }
    expect(rest).toBe(bytes);
    expect(report).toMatchObject({ code: 0, stdoutBytes: bytes });
  },

  "tells where each stream ended": async (agent) => {
    const link = await agent.link();
    const session = await link.exec({ exec: newExecId(), command: "printf out; printf four >&2" });
    const ends: Record<string, number> = {};
    for await (const event of session) if (event.kind === "end") ends[event.stream] = event.offset;
    expect(ends).toEqual({ stdout: 3, stderr: 4 });
  },

  "skips input that it has, and refuses input with a gap": async (agent) => {
    const socket = await agent.greeted();
    const exec = newExecId();
    socket.send(
      { kind: "open", channel: 1, json: { type: "exec", exec, argv: ["cat"], stdin: true } },
      { kind: "data", channel: 1, stream: 0, offset: 0, bytes: Buffer.from("abc") },
      { kind: "data", channel: 1, stream: 0, offset: 1, bytes: Buffer.from("bcd") },
      { kind: "data", channel: 1, stream: 0, offset: 5, bytes: Buffer.from("f") },
    );
    await socket.next("ack");
    let output = "";
    for (;;) {
      const frame = await socket.any();
      if (frame.kind === "data") output += Buffer.from(frame.bytes).toString();
      if (frame.kind === "error") {
        expect(frame).toMatchObject({ channel: 1, json: { code: "bad-offset" } });
        break;
      }
    }
    expect("abcd".startsWith(output)).toBe(true);
    // What it had taken before the gap has reached the command.
    const link = await agent.link();
    const session = await link.attach(exec, { stdout: 0, stderr: 0 });
    await session.endInput();
    expect((await collect(session)).stdout).toBe("abcd");
  },

  "runs a command on a terminal": async (agent) => {
    const link = await agent.link();
    const command = "tty; stty size; echo $TERM; test -t 0 && test -t 1 && test -t 2 && echo all; echo err >&2";
    const session = await link.exec({ exec: newExecId(), command, pty: { columns: 132, rows: 43 } });
    const { stdout, stderr, report } = await collect(session);
    expect(stdout).toMatch(/^\/dev\/pts\/\d+\r\n43 132\r\nxterm-256color\r\nall\r\nerr\r\n$/);
    expect(stderr).toBe("");
    expect(report.code).toBe(0);
  },

  "passes what is typed to the terminal, and its signals to the command": async (agent) => {
    const link = await agent.link();
    const session = await link.exec({ exec: newExecId(), command: ["cat"], pty: { columns: 80, rows: 24 } });
    const events = session[Symbol.asyncIterator]();
    await session.write(Buffer.from("hi\r"));
    // Echoed by the terminal, then said again by `cat`.
    expect(await readStdout(events, 8)).toBe("hi\r\nhi\r\n");
    await session.write(Buffer.from("\u0003"));
    for (;;) {
      const { value } = await events.next();
      if (value?.kind !== "exit") continue;
      expect(value.report).toMatchObject({ code: null, signal: "SIGINT" });
      return;
    }
  },

  "resizes the terminal and tells the command": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    const command = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.01; done";
    const session = await link.exec({ exec, command, pty: { columns: 80, rows: 24 } });
    const events = session[Symbol.asyncIterator]();
    expect(await readStdout(events, 7)).toBe("ready\r\n");
    await link.resize(exec, { columns: 100, rows: 50 });
    expect(await readStdout(events, 8)).toBe("50 100\r\n");
  },

  "has nothing to resize without a terminal": async (agent) => {
    const link = await agent.link();
    const exec = newExecId();
    await link.exec({ exec, command: ["cat"], stdin: true });
    expect(await failureOf(link.resize(exec, { columns: 1, rows: 1 }))).toMatchObject({ code: "exec/refused" });
  },
};
