import type { IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type * as z from "zod";
import type { Route } from "../../src/api/route.ts";
import { ROUTES } from "../../src/api/routes.ts";
import type { ApiSubject } from "../support/api.ts";
import { startApi } from "../support/api.ts";
import type { Answer, Request, SentEvent } from "../support/http.ts";
import { open, send, sentEvents } from "../support/http.ts";

let api: ApiSubject;

beforeAll(async () => {
  api = await startApi();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

/** Sends, and checks the answer against what the route table documents for its status: no field more, none less. */
async function call<T = Record<string, unknown>>(
  name: keyof typeof ROUTES,
  request: Partial<Request> = {},
): Promise<T> {
  const route: Route = ROUTES[name];
  const answer = await send(api, { method: route.method, path: route.path, ...request });
  return documented(route, answer) as T;
}

function documented(route: Route, answer: Answer): unknown {
  const described = route.answers[answer.status];
  if (described === undefined) throw new Error(`${answer.status} is not documented: ${answer.text}`);
  if (described.json === undefined) {
    expect(answer.text).toBe("");
    return undefined;
  }
  expect(answer.headers["content-type"]).toBe("application/json");
  const body = answer.json();
  // Parsing drops fields that the schema does not know.
  expect((described.json as z.ZodType).parse(body)).toEqual(body);
  return body;
}

const create = (body: object = {}) => call<{ id: string; name: string | null }>("createSandbox", { body });
const exec = <T = ExecAnswer>(ref: string, body: object) =>
  call<T>("exec", { path: `/v1/sandboxes/${ref}/exec`, body });

interface ExecAnswer {
  readonly exec: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly limit: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: number;
  readonly notUtf8?: string[];
}

/** Opens an event stream; each event is checked against the route table. */
async function stream(path: string, body?: object, headers: Record<string, string> = {}): Promise<EventReader> {
  const incoming = await open(api, {
    method: body === undefined ? "GET" : "POST",
    path,
    headers: {
      accept: "text/event-stream",
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    body: body && JSON.stringify(body),
  });
  expect(incoming.statusCode).toBe(200);
  expect(incoming.headers["content-type"]).toBe("text/event-stream");
  return new EventReader(incoming);
}

class EventReader {
  readonly #incoming: IncomingMessage;
  readonly #events: AsyncGenerator<SentEvent>;

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming;
    this.#events = sentEvents(incoming);
  }

  async next(): Promise<SentEvent> {
    const { value, done } = await this.#events.next();
    if (done === true) throw new Error("the stream has ended");
    const schema = ROUTES.exec.answers[200].events[value.name as "exit"];
    expect(schema.parse(value.data)).toEqual(value.data);
    return value;
  }

  /** All events to the end of the answer. */
  async rest(): Promise<SentEvent[]> {
    const events: SentEvent[] = [];
    for (;;) {
      const event = await this.next();
      events.push(event);
      if (event.name === "exit" || event.name === "error") break;
    }
    expect(await this.#events.next()).toMatchObject({ done: true });
    return events;
  }

  /** Goes away without reading on. */
  drop(): void {
    this.#incoming.destroy();
  }
}

const text = (events: readonly SentEvent[], stream = "stdout"): string =>
  Buffer.concat(
    events
      .filter(({ name, data }) => name === "output" && data.stream === stream)
      .map(({ data }) => Buffer.from(data.base64 as string, "base64")),
  ).toString();

describe("the daemon itself", () => {
  it("says that it lives, without a token", async () => {
    expect(await call("getHealth", { via: "tcp" })).toEqual({ status: "ok" });
  });

  it("says that it is ready", async () => {
    expect(await call("getReady")).toEqual({ ready: true, reasons: [] });
  });

  it("says which version it is", async () => {
    expect(await call("getVersion")).toMatchObject({ api: "v1" });
  });

  it("takes its token on TCP", async () => {
    await call("listSandboxes", { via: "tcp", headers: { authorization: `Bearer ${api.token}` } });
    await call("listSandboxes", { via: "tcp", headers: { authorization: `bearer  ${api.token}` } });
  });
});

describe("sandboxes", () => {
  it("are created, found by id and by name, listed and removed", async () => {
    const made = await create({
      name: "full",
      upper: { kind: "tmpfs", bytes: 64 * 1024 ** 2 },
      limits: { memoryBytes: 128 * 1024 ** 2, pids: 64, cpus: 0.5 },
      env: { GREETING: "hello" },
      hostname: "inside",
    });
    expect(made).toMatchObject({
      name: "full",
      state: { kind: "running" },
      upper: { kind: "tmpfs", bytes: 64 * 1024 ** 2 },
      limits: { memoryBytes: 128 * 1024 ** 2, pids: 64, cpus: 0.5 },
      env: { GREETING: "hello" },
      hostname: "inside",
    });
    expect(await call("getSandbox", { path: `/v1/sandboxes/${made.id}` })).toEqual(made);
    expect(await call("getSandbox", { path: "/v1/sandboxes/full" })).toEqual(made);
    const { sandboxes } = await call<{ sandboxes: unknown[] }>("listSandboxes");
    expect(sandboxes).toContainEqual(made);
    await call("removeSandbox", { path: "/v1/sandboxes/full" });
    expect((await send(api, { path: `/v1/sandboxes/${made.id}` })).status).toBe(404);
  });

  it("need nothing said", async () => {
    const { id, name } = await create();
    expect(name).toBeNull();
    await call("removeSandbox", { path: `/v1/sandboxes/${id}` });
  });

  it("go through their life, as the routes document it", async () => {
    const start = {
      command: ["sleep", "600"],
      restart: "always",
      maxRestarts: 3,
      env: { A: "b" },
      cwd: "/",
      user: "0",
    };
    const made = await create({
      ...{ labels: { team: "red" }, lifetimeMs: 3_600_000, idleMs: 60_000, resumeOnDemand: true, start },
      readyProbe: { kind: "exec", command: ["true"], intervalMs: 10 },
    });
    expect(made).toMatchObject({
      ...{ labels: { team: "red" }, lifetimeMs: 3_600_000, idleMs: 60_000, ready: true, onExpire: "destroy" },
      start: { ...start, backoffMs: 100, maxBackoffMs: 60_000, whenDone: "keep", restarts: 0, lastEnd: null },
    });
    const path = `/v1/sandboxes/${made.id}`;
    const kind = async (name: "pauseSandbox" | "resumeSandbox" | "stopSandbox" | "startSandbox" | "restartSandbox") =>
      (await call<{ state: { kind: string } }>(name, { path: `${path}/${name.replace("Sandbox", "")}` })).state.kind;
    expect(await kind("pauseSandbox")).toBe("paused");
    expect(await kind("resumeSandbox")).toBe("running");
    expect(await kind("stopSandbox")).toBe("stopped");
    expect(await kind("startSandbox")).toBe("running");
    expect(await kind("restartSandbox")).toBe("running");
    const extended = await call("extendSandbox", { path: `${path}/extend`, body: { lifetimeMs: 7_200_000 } });
    expect(extended).toMatchObject({ lifetimeMs: 7_200_000 });
    const body = { name: "changed", labels: { team: null, tier: "1" }, idleMs: null, onExpire: "stop" };
    expect(await call("updateSandbox", { path, body })).toMatchObject({ ...body, labels: { tier: "1" } });
    expect(await call("getSandbox", { path: "/v1/sandboxes/changed?wait=ready" })).toMatchObject({ ready: true });
    const listed = await call<{ sandboxes: unknown[] }>("listSandboxes", { path: "/v1/sandboxes?label=tier=1" });
    expect(listed).toMatchObject({ sandboxes: [{ id: made.id }], next: null });
    await call("removeSandbox", { path });
  });

  it("are listed a page at a time", async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => create({ labels: { paged: "" } })));
    const ids: string[] = [];
    let pages = 0;
    for (let after = ""; ; pages++) {
      const path = `/v1/sandboxes?label=paged&limit=2${after}`;
      const page = await call<{ sandboxes: { id: string }[]; next: string | null }>("listSandboxes", { path });
      ids.push(...page.sandboxes.map(({ id }) => id));
      if (page.next === null) break;
      after = `&after=${page.next}`;
    }
    expect({ ids, pages }).toEqual({ ids: made.map(({ id }) => id).sort(), pages: 2 });
    await Promise.all(made.map(({ id }) => call("removeSandbox", { path: `/v1/sandboxes/${id}` })));
  });

  it("answer a wait that is over with what is", async () => {
    const { id } = await create({ readyProbe: { kind: "exec", command: ["false"] }, wait: false });
    const view = await call("getSandbox", { path: `/v1/sandboxes/${id}?wait=ready&waitMs=20` });
    expect(view).toMatchObject({ ready: false, state: { kind: "running" } });
    await call("removeSandbox", { path: `/v1/sandboxes/${id}` });
  });

  it("of one name: one of many creates wins", async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => send(api, { method: "POST", path: "/v1/sandboxes", body: { name: "one" } })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(409)]);
    await call("removeSandbox", { path: "/v1/sandboxes/one" });
  });
});

describe("layers", () => {
  it("are listed, shown and removed", async () => {
    const before = await call<{ layers: { name: string }[] }>("listLayers");
    const spare = before.layers.find(({ name }) => name === api.spareLayer);
    const path = `/v1/layers/${api.spareLayer}`;
    expect(await call("getLayer", { path })).toEqual(spare);
    await call("removeLayer", { path });
    const after = await call<{ layers: unknown[] }>("listLayers");
    expect(after.layers).toEqual(before.layers.filter(({ name }) => name !== api.spareLayer));
  });
});

describe("commands", () => {
  let ref: string;

  beforeAll(async () => {
    ref = (await create({ env: { FROM_SANDBOX: "sandbox" } })).id;
  });

  afterAll(async () => {
    await call("removeSandbox", { path: `/v1/sandboxes/${ref}` });
  });

  const output = (id: string, query = "") => `/v1/sandboxes/${ref}/execs/${id}/output${query}`;
  const stdin = (id: string, query = "") => `/v1/sandboxes/${ref}/execs/${id}/stdin${query}`;
  const kill = (id: string, signal = "SIGKILL") =>
    call("signalExec", { path: `/v1/sandboxes/${ref}/execs/${id}/signal`, body: { signal } });

  it("give their output and exit code", async () => {
    expect(await exec(ref, { command: "echo out; echo err >&2; exit 3" })).toMatchObject({
      exitCode: 3,
      signal: null,
      limit: null,
      stdout: "out\n",
      stderr: "err\n",
      stdoutBytes: 4,
      stderrBytes: 4,
    });
  });

  it("get their arguments, environment and directory unharmed", async () => {
    const command = [
      "sh",
      "-c",
      'printf "%s|" "$@" "$FROM_SANDBOX" "$OWN" "$PWD"',
      "sh",
      "",
      "a b",
      "é*\n$HOME",
      "--x",
    ];
    const { stdout } = await exec(ref, { command, env: { OWN: "own" }, cwd: "/usr" });
    expect(stdout).toBe("|a b|é*\n$HOME|--x|sandbox|own|/usr|");
  });

  it("take an argument of just under 128 KiB", async () => {
    const { stdout } = await exec(ref, { command: ["printf", "%s", "x".repeat(128 * 1024 - 1)] });
    expect(stdout).toHaveLength(128 * 1024 - 1);
  });

  it("say which signal ended them", async () => {
    expect(await exec(ref, { command: "kill -TERM $$" })).toMatchObject({ exitCode: null, signal: "SIGTERM" });
  });

  it("say which limit ended them", async () => {
    expect(await exec(ref, { command: ["sleep", "3600"], timeLimitMs: 50 })).toMatchObject({ limit: "wall" });
    expect(await exec(ref, { command: ["yes"], outputLimitBytes: 10_000 })).toMatchObject({ limit: "output" });
  });

  it("read nothing by default, or the text or bytes that they are given", async () => {
    expect(await exec(ref, { command: ["cat"] })).toMatchObject({ stdout: "" });
    expect(await exec(ref, { command: ["cat"], stdin: { text: "héllo" } })).toMatchObject({ stdout: "héllo" });
    const bytes = Buffer.from([0, 255, 10, 13, 254]).toString("base64");
    expect(await exec(ref, { command: ["cat"], stdin: { base64: bytes }, encoding: "base64" })).toMatchObject({
      stdout: bytes,
    });
  });

  it("need not read what they are given", async () => {
    expect(await exec(ref, { command: ["true"], stdin: { text: "x".repeat(500_000) } })).toMatchObject({ exitCode: 0 });
  });

  it("say when output is not the text that it is asked as", async () => {
    const command = ["printf", "\\377ok"];
    expect(await exec(ref, { command })).toMatchObject({ stdout: "\ufffdok", notUtf8: ["stdout"] });
    const exact = await exec(ref, { command, encoding: "base64" });
    expect(exact.stdout).toBe(Buffer.from([255, 111, 107]).toString("base64"));
    expect(exact.notUtf8).toBeUndefined();
  });

  it("merge their streams in order when asked", async () => {
    const { stdout } = await exec(ref, { command: "echo 1; echo 2 >&2; echo 3", merge: true });
    expect(stdout.split("\n").sort()).toEqual(["", "1", "2", "3"]);
  });

  it("refuse a second command of one id", async () => {
    const id = `ex_${"1".repeat(26)}`;
    expect(await exec(ref, { command: "true", exec: id })).toMatchObject({ exec: id });
    const again = await send(api, {
      method: "POST",
      path: `/v1/sandboxes/${ref}/exec`,
      body: { command: "true", exec: id },
    });
    expect(again.status).toBe(409);
    expect(again.json()).toMatchObject({ error: { code: "exec/exists" } });
  });

  it("stream as events, each with the id to go on from", async () => {
    const events = await (await stream(`/v1/sandboxes/${ref}/exec`, { command: "printf abc; printf de >&2" })).rest();
    expect(events[0]).toMatchObject({ name: "started", id: "0.0" });
    expect(text(events)).toBe("abc");
    expect(text(events, "stderr")).toBe("de");
    expect(events.at(-1)).toMatchObject({
      name: "exit",
      id: "3.2",
      data: { exitCode: 0, stdoutBytes: 3, stderrBytes: 2 },
    });
  });

  it("stream 20 MB unharmed", async () => {
    const events = await (
      await stream(`/v1/sandboxes/${ref}/exec`, { command: "seq 1 3000000 | head -c 20000000" })
    ).rest();
    const lines = text(events).split("\n");
    expect(events.at(-1)?.id).toBe("20000000.0");
    expect(lines.slice(0, -1).every((line, index) => line === String(index + 1))).toBe(true);
  });

  it("lose nothing to a reader that pauses", async () => {
    const reader = await stream(`/v1/sandboxes/${ref}/exec`, { command: "head -c 50000000 /dev/zero" });
    await reader.next();
    // Other commands are served while this one's output waits.
    expect(await exec(ref, { command: "true" })).toMatchObject({ exitCode: 0 });
    const events = await reader.rest();
    expect(events.at(-1)).toMatchObject({ id: "50000000.0", data: { stdoutBytes: 50_000_000 } });
    expect(events.filter(({ name }) => name === "lost")).toEqual([]);
  });

  it("go on when their reader goes away, and can be read again from where it was", async () => {
    const reader = await stream(`/v1/sandboxes/${ref}/exec`, {
      command: "echo one; read line; echo $line",
      stdin: "stream",
    });
    const id = (await reader.next()).data.exec as string;
    const { id: position } = await reader.next();
    expect(position).toBe("4.0");
    reader.drop();
    const again = await stream(output(id), undefined, { "last-event-id": position });
    expect((await again.next()).id).toBe("4.0");
    await call("writeStdin", { path: stdin(id, "?end=true"), body: "two\n" });
    const events = await again.rest();
    expect(text(events)).toBe("two\n");
    expect(events.at(-1)).toMatchObject({ data: { exitCode: 0 } });
  });

  it("can be read after their end, from any offset", async () => {
    const { exec: id } = await exec(ref, { command: "printf 0123456789; printf abc >&2; exit 5" });
    const events = await (await stream(output(id, "?stdout=4&stderr=1"))).rest();
    expect(text(events)).toBe("456789");
    expect(text(events, "stderr")).toBe("bc");
    expect(events.at(-1)).toMatchObject({ name: "exit", data: { exitCode: 5 } });
  });

  it("name what they no longer keep", async () => {
    const { exec: id } = await exec(ref, { command: "head -c 100000 /dev/zero; printf end", ringBytes: 4096 });
    const events = await (await stream(output(id))).rest();
    const lost = events.find(({ name }) => name === "lost");
    expect(lost?.data).toMatchObject({ stream: "stdout", from: 0 });
    expect(text(events)).toHaveLength(100_003 - (lost?.data.to as number));
    expect(text(events).endsWith("end")).toBe(true);
  });

  it("tell an earlier reader that another one took its place", async () => {
    const first = await stream(`/v1/sandboxes/${ref}/exec`, { command: "read line", stdin: "stream" });
    const id = (await first.next()).data.exec as string;
    const second = await stream(output(id));
    expect((await first.rest()).at(-1)).toMatchObject({ name: "error", data: { code: "exec/output-replaced" } });
    await call("writeStdin", { path: stdin(id, "?end=true") });
    expect((await second.rest()).at(-1)).toMatchObject({ name: "exit" });
  });

  it("run detached, are listed, and end by a signal", async () => {
    const started = await exec<{ exec: string; pid: number }>(ref, { command: ["sleep", "3600"], detach: true });
    const list = () => call<{ execs: { exec: string }[] }>("listExecs", { path: `/v1/sandboxes/${ref}/execs` });
    expect((await list()).execs.find((each) => each.exec === started.exec)).toMatchObject({
      ...{ exec: started.exec, pid: started.pid, running: true, seen: true, kept: true, detached: true },
      ...{ command: ["sleep", "3600"], by: "local", pty: false, exitCode: null, endedAt: null },
      ...{ stdoutBytes: 0, stderrBytes: 0 },
    });
    await kill(started.exec, "SIGTERM");
    const events = await (await stream(output(started.exec))).rest();
    expect(events.at(-1)).toMatchObject({ name: "exit", data: { exitCode: null, signal: "SIGTERM" } });
    await kill(started.exec);
  });

  it("take their given input when they run detached", async () => {
    const { exec: id } = await exec(ref, { command: ["cat"], stdin: { text: "in" }, detach: true });
    expect(text(await (await stream(output(id))).rest())).toBe("in");
  });

  it("are fed one request after the other, however large", async () => {
    const { exec: id } = await exec(ref, { command: "tr -s abc; exit 7", stdin: "stream", detach: true });
    const bodies = [..."abc"].map((letter) => letter.repeat(2_000_000));
    await Promise.all(bodies.map((body) => call("writeStdin", { path: stdin(id), body })));
    await call("writeStdin", { path: stdin(id, "?end=true") });
    const events = await (await stream(output(id))).rest();
    // Each letter once: none of the bodies came in the middle of another.
    expect([...text(events)].sort().join("")).toBe("abc");
    expect(events.at(-1)).toMatchObject({ data: { exitCode: 7 } });
  });

  it("are fed while their reader reads", async () => {
    const reader = await stream(`/v1/sandboxes/${ref}/exec`, { command: ["cat"], stdin: "stream" });
    const id = (await reader.next()).data.exec as string;
    await call("writeStdin", { path: stdin(id), body: "first" });
    expect(text([await reader.next()])).toBe("first");
    await call("writeStdin", { path: stdin(id), body: "second" });
    expect(text([await reader.next()])).toBe("second");
    await call("writeStdin", { path: stdin(id, "?end=true") });
    expect((await reader.rest()).at(-1)).toMatchObject({ name: "exit", data: { exitCode: 0 } });
  });

  it("are not fed when their stdin is not open", async () => {
    const reader = await stream(`/v1/sandboxes/${ref}/exec`, { command: ["sleep", "3600"] });
    const id = (await reader.next()).data.exec as string;
    const answer = await send(api, { method: "POST", path: stdin(id), body: "x" });
    expect(answer.json()).toMatchObject({ error: { code: "exec/refused" } });
    await kill(id);
    expect((await reader.rest()).at(-1)).toMatchObject({ name: "exit", data: { signal: "SIGKILL" } });
  });

  it("belong to their sandbox alone", async () => {
    const other = (await create()).id;
    const { exec: id } = await exec(ref, { command: ["true"] });
    const answer = await send(api, { path: `/v1/sandboxes/${other}/execs/${id}/output` });
    expect(answer.json()).toMatchObject({ error: { code: "exec/not-found" } });
    await call("removeSandbox", { path: `/v1/sandboxes/${other}` });
  });
});
