import { createServer } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { Plybox, PlyboxApiError } from "../../src/client/index.ts";
import type { ApiSubject } from "../support/api.ts";
import { startApi } from "../support/api.ts";

const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const CONNECTIONS: Record<string, (api: ApiSubject) => Plybox> = {
  "over a Unix socket": ({ socketPath }) => new Plybox({ socketPath }),
  "over TCP": ({ port, token }) => new Plybox({ baseUrl: `http://127.0.0.1:${port}/`, token }),
};

describe.each(Object.entries(CONNECTIONS))("the SDK %s", (_name, connect) => {
  let api: ApiSubject;
  let plybox: Plybox;
  let sandbox: Sandbox;

  beforeAll(async () => {
    api = await startApi();
    plybox = connect(api);
    sandbox = await plybox.create({ name: "sdk", env: { FROM_SANDBOX: "yes" } });
  });

  afterAll(async () => {
    await sandbox.remove();
    plybox.close();
    await api[Symbol.asyncDispose]();
  });

  it("tells health and version", async () => {
    expect(await plybox.health()).toEqual({ status: "ok" });
    expect(await plybox.version()).toMatchObject({ api: "v1" });
  });

  it("finds a sandbox by name and id, and lists it", async () => {
    expect(sandbox.name).toBe("sdk");
    expect((await plybox.get("sdk")).id).toBe(sandbox.id);
    expect((await plybox.get(sandbox.id)).view).toEqual(sandbox.view);
    expect((await plybox.list()).map(({ id }) => id)).toContain(sandbox.id);
    expect(await sandbox.inspect()).toEqual(sandbox.view);
  });

  it("finds sandboxes by label, state and name, also one after the other over several pages", async () => {
    const made = await Promise.all(
      ["red", "red", "blue"].map((team, n) => plybox.create({ name: `team-${n}`, labels: { team } })),
    );
    await made[1]?.stop();
    const names = (found: readonly Sandbox[]) => found.map(({ name }) => name).sort();
    expect(names(await plybox.list({ labels: { team: "red" } }))).toEqual(["team-0", "team-1"]);
    expect(names(await plybox.list({ labels: { team: true }, state: "running" }))).toEqual(["team-0", "team-2"]);
    expect(names(await plybox.list({ state: ["stopped", "paused"] }))).toEqual(["team-1"]);
    expect(names(await plybox.list({ name: ["team-*", "sdk"], pageSize: 1 }))).toEqual([
      "sdk",
      "team-0",
      "team-1",
      "team-2",
    ]);
    const each: Sandbox[] = [];
    for await (const found of plybox.each({ name: "team-*", pageSize: 2 })) each.push(found);
    expect(names(each)).toEqual(["team-0", "team-1", "team-2"]);
    const page = await plybox.page({ name: "team-*", pageSize: 2 });
    expect(page.sandboxes).toHaveLength(2);
    expect((await plybox.page({ name: "team-*", after: page.next ?? "" })).next).toBeNull();
    await Promise.all(made.map((each) => each.remove()));
  });

  it("takes a sandbox through its life", async () => {
    await using own = await plybox.create({ idleMs: 60_000 });
    expect((await own.pause()).state.kind).toBe("paused");
    await expect(own.exec(["true"])).rejects.toMatchObject({ code: "sandbox/paused", status: 409 });
    expect((await own.resume()).state.kind).toBe("running");
    expect((await own.stop()).state).toEqual({ kind: "stopped", reason: { type: "asked" } });
    expect((await own.start()).incarnation).toBe(2);
    expect((await own.restart()).incarnation).toBe(3);
    expect((await own.extend(600_000)).lifetimeMs).toBe(600_000);
    expect(await own.update({ labels: { a: "b" }, lifetimeMs: null })).toMatchObject({
      labels: { a: "b" },
      expiresAt: null,
    });
    expect((await own.waitReady()).ready).toBeNull();
  });

  it("lists and shows layers", async () => {
    const layers = await plybox.layers.list();
    const [first] = layers;
    if (first === undefined) throw new Error("the subject has no layer");
    expect(await plybox.layers.get(first.name)).toEqual(first);
  });

  it("removes a layer", async () => {
    await plybox.layers.remove(api.spareLayer);
    await expect(plybox.layers.get(api.spareLayer)).rejects.toMatchObject({ code: "layer/not-found" });
  });

  it("removes a sandbox at the end of its block, also one that is gone", async () => {
    let id = "";
    {
      await using brief = await plybox.create();
      id = brief.id;
      expect((await brief.exec("true")).exitCode).toBe(0);
    }
    await expect(plybox.get(id)).rejects.toMatchObject({ code: "sandbox/not-found" });
    await using gone = await plybox.create();
    await gone.remove();
  });

  describe("exec", () => {
    it("gives output and exit code", async () => {
      const result = await sandbox.exec(["sh", "-c", 'printf "%s" "$FROM_SANDBOX $OWN"; echo é >&2; exit 4'], {
        env: { OWN: "own" },
        cwd: "/",
      });
      expect(result).toMatchObject({ exitCode: 4, signal: null, limit: null, stdout: "yes own", stderr: "é\n" });
    });

    it("gives bytes when asked", async () => {
      const { stdout } = await sandbox.exec("printf '\\377\\000\\376'", { encoding: "bytes" });
      expect([...stdout]).toEqual([255, 0, 254]);
    });

    it.each([1, 100_000, 3_000_000])("feeds %d bytes of stdin", async (size) => {
      const { stdout, exitCode } = await sandbox.exec(["wc", "-c"], { stdin: new Uint8Array(size) });
      expect(stdout.trim()).toBe(String(size));
      expect(exitCode).toBe(0);
    });

    it("feeds text as UTF-8", async () => {
      expect((await sandbox.exec(["cat"], { stdin: 'héllo "\\\n' })).stdout).toBe('héllo "\\\n');
    });

    it("takes input that the command does not read", async () => {
      const { exitCode } = await sandbox.exec(["true"], { stdin: new Uint8Array(3_000_000) });
      expect(exitCode).toBe(0);
    });

    it("tells listeners what comes", async () => {
      const pieces: string[] = [];
      const errors: string[] = [];
      const result = await sandbox.exec("printf 'a\\303'; printf x >&2; printf '\\251b'", {
        onStdout: (piece) => void pieces.push(piece),
        onStderr: async (piece) => void errors.push(piece),
      });
      expect(pieces.join("")).toBe("aéb");
      expect(errors.join("")).toBe("x");
      expect(result).toMatchObject({ stdout: "aéb", stderr: "x", exitCode: 0 });
      expect(result.notUtf8).toBeUndefined();
    });

    it("gives listeners bytes when asked", async () => {
      const pieces: Uint8Array[] = [];
      const { stdout } = await sandbox.exec("printf '\\377'", {
        encoding: "bytes",
        onStdout: (piece) => void pieces.push(piece),
      });
      expect(Buffer.concat(pieces)).toEqual(Buffer.from([255]));
      expect([...stdout]).toEqual([255]);
    });

    it("says what it did not collect, streamed or not", async () => {
      const command = `head -c ${16 * 1024 ** 2 + 1000} /dev/zero`;
      const plain = await sandbox.exec(command, { encoding: "bytes" });
      expect(plain.truncated).toEqual({ stdout: 1000, stderr: 0 });
      expect(plain.stdout).toHaveLength(16 * 1024 ** 2);
      let heard = 0;
      const streamed = await sandbox.exec(command, {
        encoding: "bytes",
        onStdout: (piece) => {
          heard += piece.length;
        },
      });
      expect(streamed.truncated).toEqual({ stdout: 1000, stderr: 0 });
      expect(streamed.stdout).toHaveLength(16 * 1024 ** 2);
      expect(heard).toBe(16 * 1024 ** 2 + 1000);
    });

    it("says which limit ended the command", async () => {
      expect(await sandbox.exec(["sleep", "3600"], { timeLimitMs: 30 })).toMatchObject({ limit: "wall" });
    });

    it("throws errors with code, status and field", async () => {
      const error = await sandbox.exec(["/no/such/program"]).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(PlyboxApiError);
      expect(error).toMatchObject({ code: "exec/program-not-found", status: 422 });
      await expect(sandbox.exec("true", { cwd: "tmp" })).rejects.toMatchObject({
        code: "input/invalid",
        status: 400,
        field: "cwd",
      });
      await expect(plybox.create({ limits: { pids: 0 } })).rejects.toMatchObject({ field: "limits.pids" });
    });

    it("ends the command when it is aborted", async () => {
      const controller = new AbortController();
      const id = `ex_${"a".repeat(26)}`;
      const running = sandbox.exec("echo up; exec sleep 3600", {
        exec: id,
        signal: controller.signal,
        onStdout: () => controller.abort(new Error("enough")),
      });
      await expect(running).rejects.toThrow("enough");
      await using command = await sandbox.attach(id);
      expect(await command.exit).toMatchObject({ exitCode: null, signal: "SIGKILL" });
    });

    it("does not start when it is aborted already", async () => {
      const before = await sandbox.execs();
      await expect(sandbox.exec("true", { signal: AbortSignal.abort(new Error("no")) })).rejects.toThrow("no");
      expect(await sandbox.execs()).toEqual(before);
    });
  });

  describe("spawn", () => {
    it("is a conversation", async () => {
      await using command = await sandbox.spawn(["cat"], { stdin: true });
      expect(command.pid).toBeGreaterThan(0);
      const events = command[Symbol.asyncIterator]();
      const heard = async (): Promise<string> => {
        const { value } = await events.next();
        return value?.kind === "output" ? decode(value.bytes) : `not output: ${value?.kind}`;
      };
      await command.write("one");
      expect(await heard()).toBe("one");
      await command.write(new Uint8Array([0x74, 0x77, 0x6f]));
      expect(await heard()).toBe("two");
      expect(command.offsets).toEqual({ stdout: 6, stderr: 0 });
      await command.end();
      expect(await command.exit).toMatchObject({ exitCode: 0, stdoutBytes: 6 });
    });

    it("iterates over all events, exit last", async () => {
      await using command = await sandbox.spawn("echo a; echo b >&2");
      const kinds: string[] = [];
      for await (const event of command) kinds.push("stream" in event ? `${event.kind} ${event.stream}` : event.kind);
      expect(kinds.sort()).toEqual(["end stderr", "end stdout", "exit", "output stderr", "output stdout"]);
      expect(await command.exit).toMatchObject({ exitCode: 0 });
    });

    it("keeps what a loop that was left has not taken", async () => {
      await using command = await sandbox.spawn("seq 1 100000");
      let taken = 0;
      for await (const event of command) {
        if (event.kind === "output") taken += event.bytes.length;
        break;
      }
      for await (const event of command) if (event.kind === "output") taken += event.bytes.length;
      expect((await command.exit).stdoutBytes).toBe(taken);
    });

    it("sends what is written in order without waiting", async () => {
      await using command = await sandbox.spawn(["cat"], { stdin: true });
      const sent = [..."abcdefghij"].map((letter) => command.write(letter));
      const ended = command.end();
      let text = "";
      for await (const event of command) if (event.kind === "output") text += decode(event.bytes);
      await Promise.all([...sent, ended]);
      expect(text).toBe("abcdefghij");
    });

    it("is killed, also after its end", async () => {
      await using command = await sandbox.spawn(["sleep", "3600"]);
      await command.kill("SIGINT", { scope: "all" });
      expect(await command.exit).toMatchObject({ exitCode: null, signal: "SIGINT" });
      await command.kill();
    });

    it("goes on when it is closed, and is attached to again without losing a byte", async () => {
      const first = await sandbox.spawn("echo one; read line; echo $line; echo end >&2", { stdin: true });
      for await (const event of first) if (event.kind === "output") break;
      first.close();
      for await (const event of first) throw new Error(`an event after close: ${event.kind}`);
      await expect(first.exit).rejects.toMatchObject({ code: "daemon/unreachable" });

      await using again = await sandbox.attach(first.exec, first.offsets);
      await again.write("two\n");
      const output = { stdout: "", stderr: "" };
      for await (const event of again) if (event.kind === "output") output[event.stream] += decode(event.bytes);
      expect(output).toEqual({ stdout: "two\n", stderr: "end\n" });
    });

    it("throws what ends its stream", async () => {
      await using first = await sandbox.spawn(["sleep", "3600"]);
      await using second = await sandbox.attach(first.exec);
      await expect(first.exit).rejects.toMatchObject({ code: "exec/output-replaced", status: 0 });
      await second.kill("SIGKILL");
      expect(await second.exit).toMatchObject({ signal: "SIGKILL" });
    });

    it("stops following, and leaves the command alone, when an attachment is aborted", async () => {
      const { exec } = await sandbox.detach(["sleep", "3600"]);
      const controller = new AbortController();
      const followed = await sandbox.attach(exec, {}, { signal: controller.signal });
      const exit = followed.exit;
      controller.abort(new Error("seen enough"));
      await expect(exit).rejects.toThrow("seen enough");
      expect((await sandbox.execs()).find((each) => each.exec === exec)).toMatchObject({ running: true });
      await followed.kill("SIGKILL");
    });
  });

  it("throws the reason of an abort from every call", async () => {
    const signal = AbortSignal.abort(new Error("stop it"));
    const calls: Promise<unknown>[] = [
      plybox.create({}, { signal }),
      plybox.list({ signal }),
      plybox.get("sdk", { signal }),
      plybox.health({ signal }),
      plybox.version({ signal }),
      plybox.layers.list({ signal }),
      plybox.layers.get("000-base", { signal }),
      plybox.layers.remove("000-base", { signal }),
      sandbox.spawn("true", { signal }),
      sandbox.attach(`ex_${"0".repeat(26)}`, {}, { signal }),
      sandbox.detach("true", { signal }),
      sandbox.execs({ signal }),
      sandbox.inspect({ signal }),
      sandbox.remove({ signal }),
    ];
    const reasons = await Promise.all(calls.map((call) => call.catch((error: Error) => error.message)));
    expect(new Set(reasons)).toEqual(new Set(["stop it"]));
    expect((await plybox.get("sdk")).id).toBe(sandbox.id);
  });
});

describe("the SDK", () => {
  it("says that nobody answers", async () => {
    const nowhere = new Plybox({ socketPath: "/nonexistent/plybox.sock" });
    await expect(nowhere.list()).rejects.toMatchObject({ code: "daemon/unreachable", status: 0 });
    const refused = new Plybox({ baseUrl: "http://127.0.0.1:1", token: "x" });
    await expect(refused.list()).rejects.toMatchObject({ code: "daemon/unreachable", status: 0 });
  });

  it("says that something else answers", async () => {
    const other = createServer((_incoming, outgoing) => {
      outgoing.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad gateway</h1>");
    });
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const plybox = new Plybox({ baseUrl: `http://127.0.0.1:${port}` });
    await expect(plybox.list()).rejects.toMatchObject({ code: "daemon/unreachable", status: 502 });
    other.closeAllConnections();
    await new Promise((resolve) => other.close(resolve));
  });

  it("shows the daemon's refusal of a token", async () => {
    await using api = await startApi();
    const baseUrl = `http://127.0.0.1:${api.port}`;
    await expect(new Plybox({ baseUrl }).list()).rejects.toMatchObject({ code: "auth/missing", status: 401 });
    await expect(new Plybox({ baseUrl, token: "guess" }).list()).rejects.toMatchObject({
      code: "auth/refused",
      status: 403,
    });
  });

  it("uses the fetch that it is given", async () => {
    const asked: string[] = [];
    const plybox = new Plybox({
      baseUrl: "https://plybox.example/",
      token: "t",
      fetch: async (input, init) => {
        asked.push(`${init?.method} ${String(input)} ${new Headers(init?.headers).get("authorization")}`);
        return Response.json({ sandboxes: [] });
      },
    });
    expect(await plybox.list()).toEqual([]);
    expect(asked).toEqual(["GET https://plybox.example/v1/sandboxes Bearer t"]);
  });

  it("wants one address, not two", () => {
    expect(() => new Plybox({ baseUrl: "http://x", socketPath: "/x" })).toThrow(TypeError);
  });

  it("ends a command whose start comes after the abort", async () => {
    await using api = await startApi();
    const plybox = new Plybox({ socketPath: api.socketPath });
    await using sandbox = await plybox.create();
    const controller = new AbortController();
    const exec = `ex_${"b".repeat(26)}`;
    const spawning = sandbox.spawn(["sleep", "3600"], { exec, signal: controller.signal });
    controller.abort(new Error("changed my mind"));
    await expect(spawning).rejects.toThrow("changed my mind");
    // The request was on its way: the command starts, and is ended as soon as its start is heard of.
    for (;;) {
      const command = await sandbox.attach(exec).catch((error: PlyboxApiError) => error.code);
      if (command === "exec/not-found") continue;
      if (typeof command === "string") throw new Error(command);
      expect(await command.exit).toMatchObject({ signal: "SIGKILL" });
      return;
    }
  });
});
