import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Command, CommandEvent, Sandbox } from "../../src/client/index.ts";
import { send } from "../support/http.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
let sandbox: Sandbox;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  sandbox = await daemon.client.create();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const pathOf = (exec: string, query: string): string => `/v1/sandboxes/${sandbox.id}/execs/${exec}/output?${query}`;
const get = (exec: string, query: string) =>
  send({ socketPath: daemon.config.socket, port: 0, token: "" }, { path: pathOf(exec, query) });
const own = (headers: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("plybox-")));

/** Events until so much of stdout has come. */
async function take(command: Command, text: string): Promise<void> {
  let got = "";
  for await (const event of command) {
    if (event.kind !== "output") expect.unreachable(event.kind);
    got += Buffer.from(event.bytes).toString();
    if (got === text) return;
  }
  expect.unreachable(got);
}

async function rest(events: AsyncIterable<CommandEvent>): Promise<{ text: string; kinds: string[] }> {
  let text = "";
  const kinds: string[] = [];
  for await (const event of events) {
    kinds.push(event.kind);
    if (event.kind === "output") text += Buffer.from(event.bytes).toString();
  }
  return { text, kinds };
}

describe("a command's output that is read beside its follower", () => {
  it("is what has been written by now, and the follower misses nothing", async () => {
    await using command = await sandbox.spawn("printf one; read x; printf two; exit 5", { stdin: true });
    await take(command, "one");
    const now = await sandbox.output(command.exec);
    expect(now).toEqual({ stdout: "one", stderr: "", next: { stdout: 3, stderr: 0 }, lost: [], exit: null });
    expect(await sandbox.output(command.exec, { from: now.next })).toEqual({ ...now, stdout: "" });
    const answer = await get(command.exec, "follow=false&stdout=1");
    expect(answer.headers["content-type"]).toBe("text/event-stream");
    expect([...answer.text.matchAll(/^event: (\w+)\nid: (\S+)$/gm)].map(([, name, id]) => `${name} ${id}`)).toEqual([
      ...["started 1.0", "output 3.0", "reached 3.0"],
    ]);
    await command.write("go\n");
    expect(await rest(command)).toMatchObject({ text: "two" });
    expect(await sandbox.output(command.exec, { encoding: "bytes" })).toMatchObject({
      ...{ stdout: new TextEncoder().encode("onetwo"), exit: { exitCode: 5 } },
    });
  });

  it("is followed by any number at once", async () => {
    await using command = await sandbox.spawn(["cat"], { stdin: true });
    const beside = await Promise.all([1, 2].map(() => sandbox.attach(command.exec, {}, { shared: true })));
    await command.write("for all");
    await take(command, "for all");
    for (const each of beside) await take(each, "for all");
    await command.end();
    for (const each of [command, ...beside]) expect((await rest(each)).kinds).toEqual(["end", "end", "exit"]);
  });

  it("is followed beside on and on, over another daemon too", async () => {
    await using command = await sandbox.spawn(["cat"], { stdin: true });
    await using beside = await sandbox.attach(command.exec, {}, { shared: true });
    await command.write("one");
    for (const each of [command, beside]) await take(each, "one");
    const rests = Promise.all([rest(command), rest(beside)]);
    await daemon.restart();
    await command.write("two");
    await command.end();
    expect(await rests).toEqual([1, 2].map(() => ({ text: "two", kinds: ["output", "end", "end", "exit"] })));
  });

  it("is a stream's bytes, with what is gone and how it ended in headers", async () => {
    const { exec } = await sandbox.exec("head -c 10000 /dev/zero | tr '\\0' x; echo err >&2; exit 3", {
      ...{ ringBytes: 4096 },
    });
    const whole = await get(exec, "stream=stdout&follow=false");
    const gone = 10_000 - whole.text.length;
    expect(whole.text).toMatch(/^x{4096,10000}$/);
    expect(whole.headers["content-length"]).toBe(String(whole.text.length));
    expect(own(whole.headers)).toEqual({
      ...{ "plybox-output-from": String(gone), "plybox-output-to": "10000", "plybox-output-gone": `0-${gone}` },
      ...{ "plybox-running": "false", "plybox-exit-code": "3" },
    });
    const head = await send(
      { socketPath: daemon.config.socket, port: 0, token: "" },
      { method: "HEAD", path: pathOf(exec, "stream=stdout&follow=false") },
    );
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(own(head.headers)).toEqual(own(whole.headers));
    // That of one who follows is the same, but for the length that nobody knows beforehand.
    const followed = await get(exec, "stream=stderr&from=1");
    expect(followed.text).toBe("rr\n");
    expect(own(followed.headers)).toMatchObject({ "plybox-output-from": "1", "plybox-output-to": "4" });
    expect(followed.headers["plybox-output-gone"]).toBeUndefined();
    expect(await get(exec, "stream=stdout&from=10001")).toMatchObject({ status: 422 });
  });

  it("comes as bytes while the command runs, and is given up with its reader", async () => {
    await using command = await sandbox.spawn("echo out; read x; echo more", { stdin: true });
    const asked = request({ socketPath: daemon.config.socket, path: pathOf(command.exec, "stream=stdout") }).end();
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    expect(own(answer.headers)).toMatchObject({ "plybox-running": "true" });
    const [piece] = (await once(answer, "data")) as [Buffer];
    expect(piece.toString()).toBe("out\n");
    answer.destroy();
    await command.write("go\n");
    expect((await rest(command)).text).toBe("out\nmore\n");
  });

  it("goes past a reader that stops, which is cut off when it reads on", async () => {
    await using command = await sandbox.spawn("read go; head -c 30000000 /dev/zero", { stdin: true });
    const asked = request({ socketPath: daemon.config.socket, path: pathOf(command.exec, "stream=stdout") }).end();
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    await command.write("go\n");
    expect(await sandbox.exec("echo beside")).toMatchObject({ stdout: "beside\n" });
    expect(await command.exit).toMatchObject({ exitCode: 0, stdoutBytes: 30_000_000 });
    let bytes = 0;
    const reading = (async () => {
      for await (const piece of answer) bytes += (piece as Buffer).length;
    })();
    await expect(reading).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(30_000_000);
  });

  it("is still there when its sandbox goes on after a pause", async () => {
    const { exec } = await sandbox.exec("echo kept");
    await sandbox.pause();
    await expect(sandbox.output(exec)).rejects.toMatchObject({ code: "sandbox/paused" });
    await expect(sandbox.attach(exec)).rejects.toMatchObject({ code: "sandbox/paused" });
    await sandbox.resume();
    expect(await sandbox.output(exec)).toMatchObject({ stdout: "kept\n", lost: [] });
  });

  it("is told from the history once its sandbox is stopped", async () => {
    await using other = await daemon.client.create();
    const { exec } = await other.exec("echo out; exit 4");
    await other.stop();
    expect(await other.output(exec)).toMatchObject({
      ...{ stdout: "", lost: [{ stream: "stdout", from: 0, to: 4 }], exit: { exitCode: 4 } },
    });
    const path = `/v1/sandboxes/${other.id}/execs/${exec}/output?stream=stdout&from=1`;
    const raw = await send({ socketPath: daemon.config.socket, port: 0, token: "" }, { path });
    expect(raw).toMatchObject({ status: 200, text: "" });
    expect(own(raw.headers)).toMatchObject({ "plybox-output-gone": "1-4", "plybox-exit-code": "4" });
  });

  it("goes on from one offset, which is stdout's where no stream is chosen", async () => {
    const { exec } = await sandbox.exec("printf 12345");
    const { text } = await get(exec, "from=3&follow=1");
    expect([...text.matchAll(/^event: (\w+)\nid: (\S+)$/gm)].map(([, name, id]) => `${name} ${id}`)).toEqual([
      ...["started 3.0", "output 5.0", "end 5.0", "end 5.0", "exit 5.0"],
    ]);
  });

  it("refuses what does not go together", async () => {
    const { exec } = await sandbox.exec("true");
    for (const [query, field] of [
      ["from=1&stdout=1", "from"],
      ["stream=stdout&stdout=1", "stream"],
      ["stream=both", "stream"],
      ["follow=false&shared=false", "shared"],
      ["follow=maybe", "follow"],
    ] as const) {
      const answer = await get(exec, query);
      expect(answer.status, query).toBe(400);
      expect(answer.json<{ error: object }>().error, query).toMatchObject({ code: "input/invalid", field });
    }
  });
});

it("commands are listed by the time of their start", async () => {
  const { exec: first } = await sandbox.exec("true");
  const { startedAt } = await sandbox.inspectExec(first);
  const since = new Date(Date.parse(startedAt) + 1);
  // The clock of the records counts milliseconds.
  while (Date.now() <= since.getTime()) await sandbox.exec("true");
  const { exec: last } = await sandbox.exec("true");
  const later = await sandbox.execs({ since });
  expect(later[0]?.exec).toBe(last);
  expect(later.map(({ exec }) => exec)).not.toContain(first);
  expect(later.every((each) => each.startedAt >= since.toISOString())).toBe(true);
  expect((await sandbox.execs({ since: new Date(startedAt) })).map(({ exec }) => exec)).toContain(first);
  expect(await sandbox.execs({ since: new Date(Date.now() + 60_000) })).toEqual([]);
});
