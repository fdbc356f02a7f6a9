import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EventItem, SandboxEvent } from "../../src/client/index.ts";
import { runCli } from "../support/cli-context.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
beforeEach(async () => {
  daemon = new TestDaemon();
  await daemon.start();
});
afterEach(() => daemon[Symbol.asyncDispose]());

const cli = (...args: readonly string[]) => runCli(["events", ...args, "--socket", daemon.config.socket]);
const BUSYBOX = { layers: ["busybox"] };

/** States of one sandbox, as `state id`. */
const states = (events: readonly EventItem[], sandbox: string) =>
  events.flatMap((event) => (event.type === "sandbox.state" && event.sandbox === sandbox ? [event.data.state] : []));

describe("events", () => {
  it("tell the life of a sandbox, in order, also when it is gone", async () => {
    const sandbox = await daemon.client.create(BUSYBOX);
    await sandbox.remove();
    const seen: EventItem[] = [];
    for await (const event of daemon.client.events({ after: 0, sandbox: sandbox.id })) {
      seen.push(event);
      if (states([event], sandbox.id).includes("destroyed")) break;
    }
    expect(states(seen, sandbox.id)).toEqual(["running", "destroyed"]);
    const { events, next } = await daemon.client.pastEvents({ types: ["sandbox.*"] });
    expect(states(events, sandbox.id)).toEqual(["running", "destroyed"]);
    expect(events.at(-1)?.id).toBe(next);
  });

  it("tell the life of a command, and which limit ended it", async () => {
    const sandbox = await daemon.client.create(BUSYBOX);
    const { exec } = await sandbox.exec("echo hello; exit 3");
    const limited = await sandbox.exec(["sleep", "600"], { timeLimitMs: 50 });
    const events: SandboxEvent[] = [];
    // An end is told of some milliseconds after whoever waited for it has it.
    for await (const event of daemon.client.events({
      after: 0,
      sandbox: sandbox.id,
      types: ["exec.*", "limit.reached"],
    })) {
      if (event.type !== "gap") events.push(event as SandboxEvent);
      if (event.type === "limit.reached") break;
    }
    expect(events.map(({ type, data }) => ({ type, data }))).toMatchObject([
      { type: "exec.started", data: { exec, by: "local" } },
      { type: "exec.ended", data: { exec, exitCode: 3, signal: null, limit: null, stdoutBytes: 6 } },
      { type: "exec.started", data: { exec: limited.exec } },
      { type: "exec.ended", data: { exec: limited.exec, exitCode: null, limit: "wall" } },
      { type: "limit.reached", data: { exec: limited.exec, limit: "wall" } },
    ]);
  });

  it("tell which files were changed through the API", async () => {
    const sandbox = await daemon.client.create(BUSYBOX);
    await sandbox.files.write("/root/note", "text");
    const { events } = await daemon.client.pastEvents({ types: ["file.changed"] });
    expect(events).toMatchObject([{ sandbox: sandbox.id, data: { change: "written", path: "/root/note" } }]);
  });

  it("go on where they were when the daemon starts anew, without one that is missing or comes twice", async () => {
    const abort = new AbortController();
    const seen: SandboxEvent[] = [];
    const made: string[] = [];
    const reading = (async () => {
      for await (const event of daemon.client.events({ after: 0, types: ["sandbox.state"], signal: abort.signal })) {
        if (event.type !== "gap") seen.push(event);
        if (states(seen, made.at(-1) ?? "").includes("destroyed") && made.length === 3) return;
      }
    })();
    for (let round = 0; round < 3; round++) {
      const sandbox = await daemon.client.create(BUSYBOX);
      made.push(sandbox.id);
      await daemon.restart();
      await sandbox.remove();
    }
    await reading;
    for (const id of made) expect(states(seen, id)).toEqual(["running", "destroyed"]);
    const ids = seen.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
  });
});

describe("plybox events", () => {
  it("prints a line an event, or JSON", async () => {
    const sandbox = await daemon.client.create(BUSYBOX);
    await sandbox.remove();
    await daemon.restart();
    const { exitCode, stdout } = await cli();
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(new RegExp(`^\\d+ \\S+Z ${sandbox.id} sandbox\\.state state=running$`, "m"));
    const { stdout: lines } = await cli("--json", "--last", "1", "--type", "sandbox.state");
    expect(JSON.parse(lines)).toMatchObject({
      sandbox: sandbox.id,
      type: "sandbox.state",
      data: { state: "destroyed" },
    });
    expect((await cli("--type", "nonsense")).exitCode).toBe(125);
  });

  it("follows what happens until it is interrupted, and begins where it is told to", async () => {
    const interrupts = new EventEmitter();
    const past = await daemon.client.create({ ...BUSYBOX, name: "past", labels: { team: "a" } });
    const onStdout = (text: string) => text.includes("destroyed") && interrupts.emit("SIGINT", "SIGINT");
    const args = ["events", "-f", "--last", "10", "--label", "team=a", "--socket", daemon.config.socket];
    const following = runCli(args, { interrupts, onStdout });
    const other = await daemon.client.create(BUSYBOX);
    await past.remove();
    const { exitCode, stdout } = await following;
    expect(exitCode).toBe(130);
    expect(stdout).toMatch(new RegExp(`${past.id} sandbox\\.state state=running`));
    expect(stdout).toMatch(new RegExp(`${past.id} sandbox\\.state state=destroyed`));
    expect(stdout).not.toContain(other.id);
  });
});
