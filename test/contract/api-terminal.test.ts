import { once } from "node:events";
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClientOptions } from "ws";
import { WebSocket } from "ws";
import type { Sandbox } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import type { ApiSubject } from "../support/api.ts";
import { startApi } from "../support/api.ts";

let api: ApiSubject;
let plybox: Plybox;
let sandbox: Sandbox;

beforeAll(async () => {
  api = await startApi();
  plybox = new Plybox({ socketPath: api.socketPath });
  sandbox = await plybox.create({ name: "box" });
});

afterAll(async () => {
  await sandbox.remove();
  plybox.close();
  await api[Symbol.asyncDispose]();
});

type Message = Record<string, unknown> & { readonly type: string };

/** A client of a terminal's WebSocket, as a page with a terminal in it has one. */
class Client {
  readonly ws: WebSocket;
  readonly messages: Message[] = [];
  shown = Buffer.alloc(0);
  #wake: () => void = () => {};

  constructor(path: string, protocols: readonly string[] = [], options: ClientOptions = {}, via?: "tcp") {
    const origin = via === "tcp" ? `ws://127.0.0.1:${api.port}` : `ws+unix://${api.socketPath}:`;
    this.ws = new WebSocket(`${origin}/v1/sandboxes/box${path}`, [...protocols], options);
    this.ws.on("message", (data: Buffer, isBinary) => {
      if (isBinary) this.shown = Buffer.concat([this.shown, data]);
      else this.messages.push(JSON.parse(data.toString()));
      this.#wake();
    });
    this.ws.on("close", () => this.#wake());
    this.ws.on("error", () => {});
  }

  /** Waits until the terminal shows this. */
  async see(text: string | RegExp): Promise<void> {
    await this.#until(() => this.shown.toString().search(text) !== -1, `${text} is not shown:\n`);
  }

  async message(type: string): Promise<Message> {
    await this.#until(() => this.messages.some((each) => each.type === type), `no ${type} came:\n`);
    return this.messages.find((each) => each.type === type) as Message;
  }

  async closed(): Promise<number> {
    const [code] = (await once(this.ws, "close")) as [number];
    return code;
  }

  type(keys: string | Buffer): void {
    this.ws.send(Buffer.from(keys as string));
  }

  ask(request: object): void {
    this.ws.send(JSON.stringify(request));
  }

  async #until(holds: () => boolean, complaint: string): Promise<void> {
    while (!holds()) {
      if (this.ws.readyState === WebSocket.CLOSED) throw new Error(complaint + this.shown);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

const cat = "stty raw -echo; echo ready; exec cat";

describe("a terminal over WebSocket", () => {
  it("is a shell of the size that was asked for, which can be changed", async () => {
    const client = new Client("/terminal?columns=100&rows=30");
    expect(await client.message("started")).toMatchObject({ exec: expect.stringMatching(/^ex_/), from: 0 });
    client.type("stty size\r");
    await client.see("30 100");
    client.ask({ type: "resize", columns: 120, rows: 40 });
    client.type("until [ \"$(stty size)\" = '40 120' ]; do :; done; echo now 4''0\r");
    await client.see("now 40");
    const closed = client.closed();
    client.type("exit 3\r");
    expect(await client.message("exit")).toMatchObject({ exitCode: 3, limit: null });
    expect(await closed).toBe(1000);
  });

  it("passes every byte on in both directions", async () => {
    const client = new Client(`/terminal?command=${encodeURIComponent(cat)}`);
    await client.see("ready\n");
    const start = client.shown.length;
    const all = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7) % 256));
    for (let at = 0; at < all.length; at += 1000) client.type(all.subarray(at, at + 1000));
    while (client.shown.length < start + all.length) await once(client.ws, "message");
    expect(client.shown.subarray(start).equals(all)).toBe(true);
    const closed = client.closed();
    client.ask({ type: "signal", signal: "SIGKILL" });
    expect(await client.message("exit")).toMatchObject({ signal: "SIGKILL" });
    await closed;
  });

  it("goes on without its client, and is found again from an offset, with what it said meanwhile", async () => {
    const first = new Client(
      `/terminal?command=${encodeURIComponent("echo one; read x; echo two $x; read y; echo $y")}`,
    );
    const { exec } = await first.message("started");
    await first.see("one\r\n");
    first.ws.terminate();
    const second = new Client(`/execs/${exec}/terminal?from=5`);
    expect(await second.message("started")).toMatchObject({ exec, from: 5 });
    second.type("a\r");
    await second.see("two a");
    const closed = second.closed();
    second.type("b\r");
    expect(await second.message("exit")).toMatchObject({ exitCode: 0 });
    expect(second.shown.toString()).toBe("a\r\ntwo a\r\nb\r\nb\r\n");
    await closed;
  });

  it("says which bytes are no longer kept", async () => {
    const { exec } = await sandbox.detach("head -c 100000 /dev/zero | tr '\\0' x; sleep 600", {
      pty: { columns: 80, rows: 24 },
      ringBytes: 4096,
    });
    const kept = async () => (await sandbox.execs()).find((each) => each.exec === exec)?.stdoutBytes;
    while ((await kept()) !== 100_000);
    const client = new Client(`/execs/${exec}/terminal`);
    expect(await client.message("lost")).toEqual({ type: "lost", from: 0, to: 100_000 - 4096 });
    while (client.shown.length < 4096) await once(client.ws, "message");
    client.ask({ type: "signal", signal: "SIGKILL" });
    expect(await client.closed()).toBe(1000);
  });

  it("holds back a command whose client does not read, and nobody else", async () => {
    const client = new Client(`/terminal?command=${encodeURIComponent("stty raw -echo; yes")}`);
    await client.see("y");
    client.ws.pause();
    const { exec } = await client.message("started");
    const bytes = async () => (await sandbox.execs()).find((each) => each.exec === exec)?.stdoutBytes ?? 0;
    // The command comes to a halt once all between it and us is full.
    let [before, now] = [-1, await bytes()];
    while (before !== now) {
      await sandbox.exec("sleep 0.2");
      [before, now] = [now, await bytes()];
    }
    expect(now).toBeLessThan(32 * 1024 ** 2);
    expect((await sandbox.exec("echo free")).stdout).toBe("free\n");
    client.ws.terminate();
    await plybox.get("box").then((box) => box.exec("pkill yes"));
  });

  it.each([
    ["no JSON", "nonsense"],
    ["an unknown request", JSON.stringify({ type: "dance" })],
    ["an absurd size", JSON.stringify({ type: "resize", columns: 0, rows: 24 })],
    ["a field too many", JSON.stringify({ type: "resize", columns: 80, rows: 24, depth: 3 })],
  ])("lets a client go that sends %s, with the reason", async (_, text) => {
    const client = new Client("/terminal");
    await client.message("started");
    const closed = client.closed();
    client.ws.send(text);
    expect(await client.message("error")).toMatchObject({ code: "input/invalid" });
    expect(await closed).toBe(1008);
  });

  it("refuses a message that is too large", async () => {
    const client = new Client("/terminal");
    await client.message("started");
    const closed = client.closed();
    client.type(Buffer.alloc(256 * 1024 + 1));
    expect(await closed).toBe(1009);
  });
});

describe("who may open one", () => {
  /** Status and code of a refused upgrade. */
  async function refused(client: Client): Promise<[number | undefined, string]> {
    const [, answer] = await once(client.ws, "unexpected-response");
    let text = "";
    for await (const piece of answer) text += piece;
    return [answer.statusCode, JSON.parse(text).error.code];
  }

  it("shows a token, as a header or as a protocol, which is all that a browser can send", async () => {
    for (const [protocols, headers] of [
      [["plybox.v1", `bearer.${api.token}`], {}],
      [["plybox.v1"], { authorization: `Bearer ${api.token}` }],
    ] as const) {
      const client = new Client("/terminal", protocols, { headers: { ...headers } }, "tcp");
      await client.message("started");
      expect(client.ws.protocol).toBe("plybox.v1");
      client.ws.terminate();
    }
  });

  it.each([
    ["no token", [], 401, "auth/missing"],
    ["a wrong one", ["plybox.v1", "bearer.wrong"], 403, "auth/refused"],
  ] as const)("is refused with %s", async (_, protocols, status, code) => {
    expect(await refused(new Client("/terminal", protocols, {}, "tcp"))).toEqual([status, code]);
  });

  it("is no page of anybody's, not even on a listener that asks for nothing", async () => {
    const headers = { origin: "https://example.com" };
    expect(await refused(new Client("/terminal", [], { headers }))).toEqual([403, "auth/refused"]);
    // The control: the same page with a token.
    const client = new Client("/terminal", ["plybox.v1", `bearer.${api.token}`], { headers });
    await client.message("started");
    client.ws.terminate();
  });

  it("needs the scope of commands", async () => {
    const { secret } = await plybox.keys.create({ name: "reader", scopes: ["sandboxes:read"] });
    const client = new Client("/terminal", ["plybox.v1", `bearer.${secret}`], {}, "tcp");
    expect(await refused(client)).toEqual([403, "auth/scope-missing"]);
  });

  it.each([
    ["/terminal?columns=0", 400, "input/invalid"],
    ["/terminal?colour=red", 400, "input/invalid"],
    ["/terminal?command=true&cwd=relative", 400, "input/invalid"],
    ["/terminal?user=nobody-of-this-name", 422, "exec/refused"],
    ["/execs/ex_00000000000000000000000000/terminal", 404, "exec/not-found"],
  ])("is told in HTTP what is wrong with %s, and no command runs", async (path, status, code) => {
    const before = (await sandbox.execs()).length;
    expect(await refused(new Client(path))).toEqual([status, code]);
    expect((await sandbox.execs()).length).toBe(before);
  });

  it("is written down", async () => {
    const client = new Client("/terminal");
    await client.message("started");
    client.ws.terminate();
    const [entry] = await plybox.audit({ limit: 1 });
    expect(entry).toMatchObject({ action: "openTerminal", status: 101, sandbox: sandbox.id, by: "local" });
  });
});

describe("many terminals", () => {
  it("leave no terminal, no process and no descriptor behind, also where the client just goes away", async () => {
    // Ends what the tests before left running.
    await sandbox.restart();
    const inside = async () => (await sandbox.exec("ls /dev/pts | wc -l; ps -e --no-headers | grep -c cat")).stdout;
    const [before, open] = [await inside(), readdirSync("/proc/self/fd").length];
    for (let round = 0; round < 10; round++) {
      const clients = Array.from({ length: 20 }, () => new Client(`/terminal?command=${encodeURIComponent(cat)}`));
      const execs = await Promise.all(
        clients.map(async (client) => {
          await client.see("ready");
          const { exec } = await client.message("started");
          const closed = client.closed();
          if (round % 2 === 0) client.ask({ type: "signal", signal: "SIGKILL" });
          else client.ws.terminate();
          await closed;
          return exec as string;
        }),
      );
      // What has lost its client goes on, and ends only when somebody ends it.
      if (round % 2 !== 0) for (const exec of execs) await sandbox.killExec(exec, "SIGKILL");
    }
    await expect.poll(inside).toBe(before);
    // The daemon is in this process. Its side of a connection closes a moment after ours.
    await expect.poll(() => readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(open);
  });
});
