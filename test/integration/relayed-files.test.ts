import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import type { ClientRequest, IncomingMessage } from "node:http";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Files, Sandbox } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import type { ApiSubject } from "../support/api.ts";
import { startApi } from "../support/api.ts";
import { open, send } from "../support/http.ts";

const MIB = 1024 ** 2;
const LARGE = 24 * MIB + 4321;
const ROOM = 256 * MIB;

let api: ApiSubject;
let plybox: Plybox;
let sandbox: Sandbox;
let files: Files;
const content = randomBytes(LARGE);

beforeAll(async () => {
  api = await startApi();
  plybox = new Plybox({ socketPath: api.socketPath });
  sandbox = await plybox.create({ name: "relayed", upper: { kind: "tmpfs", bytes: ROOM } });
  files = sandbox.files;
  await files.write("/root/large", content);
});

afterAll(() => api[Symbol.asyncDispose]());

const noRelay = (): Promise<void> => expect.poll(relays, { timeout: 30_000 }).toEqual([]);
afterEach(noRelay);

/** The daemon is in this process, and so the programs that move bytes for it are its children. */
function relays(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
        return stat.includes("(plyrelay)") && stat.split(") ")[1]?.split(" ")[1] === String(process.pid);
      } catch {
        return false;
      }
    });
}

const untilRelayed = (): Promise<void> => expect.poll(() => relays().length, { timeout: 30_000 }).toBe(1);
const place = (path: string, ref = "relayed"): string => `/v1/sandboxes/${ref}/files/content?path=${path}`;
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const sumInside = async (path: string): Promise<string> =>
  (await sandbox.exec(["sha256sum", path])).stdout.split(" ")[0] ?? "";

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield Uint8Array.from(bytes.subarray(at, at + size));
}

async function received(incoming: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of incoming) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** A reader that has begun and then stops. */
async function stalled(path: string): Promise<IncomingMessage> {
  const incoming = await open(api, { path });
  incoming.once("data", () => incoming.pause());
  await untilRelayed();
  return incoming;
}

/** A request whose body has begun and does not go on. */
async function halfSent(path: string): Promise<ClientRequest> {
  const sent = request({ socketPath: api.socketPath, path, method: "PUT", headers: { "content-length": LARGE } });
  sent.on("error", () => {});
  sent.write(content.subarray(0, 9 * MIB));
  await untilRelayed();
  return sent;
}

describe.each(["unix", "tcp"] as const)("a large file over %s", (via) => {
  const headers = (): Record<string, string> => (via === "tcp" ? { authorization: `Bearer ${api.token}` } : {});

  it("comes whole", async () => {
    const incoming = await open(api, { path: place("/root/large"), via, headers: headers() });
    expect(incoming.headers["content-length"]).toBe(String(LARGE));
    expect(digest(await received(incoming))).toBe(digest(content));
  });

  it("comes in part, as it is asked for", async () => {
    const incoming = await open(api, {
      path: place("/root/large"),
      via,
      headers: { ...headers(), range: `bytes=777-${20 * MIB}` },
    });
    expect(incoming.statusCode).toBe(206);
    expect((await received(incoming)).equals(content.subarray(777, 20 * MIB + 1))).toBe(true);
  });

  it("is written whole", async () => {
    const path = `/root/written-${via}`;
    const { status, text } = await send(api, {
      method: "PUT",
      path: place(path),
      body: content,
      via,
      headers: headers(),
    });
    expect([status, JSON.parse(text)]).toMatchObject([200, { bytes: LARGE }]);
    expect(await sumInside(path)).toBe(digest(content));
  });

  it("lets its connection serve the next request", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const address = via === "tcp" ? { host: "127.0.0.1", port: api.port } : { socketPath: api.socketPath };
    const ask = async (path: string): Promise<{ readonly bytes: number; readonly isReused: boolean }> => {
      const sent = request({ ...address, agent, path, headers: headers() }).end();
      const [incoming] = (await once(sent, "response")) as [IncomingMessage];
      return { bytes: (await received(incoming)).length, isReused: sent.reusedSocket };
    };
    expect(await ask(place("/root/large"))).toEqual({ bytes: LARGE, isReused: false });
    expect(await ask(place("/root/large"))).toEqual({ bytes: LARGE, isReused: true });
    expect(await ask("/v1/health")).toMatchObject({ isReused: true });
    agent.destroy();
  });
});

describe("a large file of the SDK", () => {
  it.each([65_536, MIB, 3 * MIB + 1])("is written and read whole, in pieces of %i", async (piece) => {
    const { bytes } = await files.write("/root/sdk", inPieces(content, piece), { size: LARGE });
    expect(bytes).toBe(LARGE);
    expect(digest(await files.read("/root/sdk"))).toBe(digest(content));
  });

  it.each([
    ["fewer", LARGE - 1],
    ["more", LARGE + 1],
  ])("is not written where there are %s bytes than were announced", async (_, given) => {
    await files.write("/root/kept", "as it was");
    const bytes = Buffer.concat([content, Buffer.alloc(1)]).subarray(0, given);
    const writing = files.write("/root/kept", inPieces(bytes, MIB), { size: LARGE });
    await expect(writing).rejects.toMatchObject({ code: "input/invalid", field: "size" });
    expect(await files.readText("/root/kept")).toBe("as it was");
  });

  it("is appended", async () => {
    await files.write("/root/appended", content);
    await files.append("/root/appended", inPieces(content, MIB), { size: LARGE });
    expect(await sumInside("/root/appended")).toBe(digest(Buffer.concat([content, content])));
    await files.remove("/root/appended");
  });
});

describe("a client", () => {
  it("may send the head and much of the body at once", async () => {
    const socket = connect(api.socketPath);
    const head = `PUT ${place("/root/at-once")} HTTP/1.1\r\nhost: x\r\ncontent-length: ${LARGE}\r\n\r\n`;
    socket.end(Buffer.concat([Buffer.from(head), content]));
    const answer = String(await received(socket));
    expect(answer).toMatch(/^HTTP\/1\.1 200 .*\r\nConnection: close\r\n/s);
    expect(await sumInside("/root/at-once")).toBe(digest(content));
  });

  it("may still be writing when it is answered, and closes the connection itself", async () => {
    const socket = connect({ path: api.socketPath, allowHalfOpen: true });
    await once(socket, "connect");
    const head = `PUT ${place("/root/late")} HTTP/1.1\r\nhost: x\r\ncontent-length: ${LARGE}\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), content]));
    let answer = "";
    socket.setEncoding("latin1").on("data", (text: string) => {
      answer += text;
    });
    await once(socket, "end");
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
    // What Node's client does as it ends a request; a connection that the daemon has closed fails it.
    await new Promise<void>((resolve, reject) => socket.write("", (error) => (error ? reject(error) : resolve())));
    const gone = once(socket, "close");
    socket.end();
    await gone;
    expect(await sumInside("/root/late")).toBe(digest(content));
  });

  it("may go away in the middle of what it reads", async () => {
    const incoming = await stalled(place("/root/large"));
    incoming.destroy();
    await noRelay();
  });

  it("may go away in the middle of what it writes, and nothing is written", async () => {
    const sent = await halfSent(place("/root/half"));
    sent.destroy();
    await noRelay();
    await expect.poll(async () => (await sandbox.exec("ls -A /root | grep -c half")).stdout).toBe("0\n");
  });

  it("is told that there is no room, and what was there stays", async () => {
    const small = await plybox.create({ name: "small", upper: { kind: "tmpfs", bytes: 16 * MIB } });
    await small.files.write("/root/full", "as it was");
    const sent = request({ socketPath: api.socketPath, path: place("/root/full", "small"), method: "PUT" });
    sent.setHeader("content-length", LARGE);
    sent.on("error", () => {}); // The daemon wants no more of it.
    sent.end(content);
    const [incoming] = (await once(sent, "response")) as [IncomingMessage];
    expect(JSON.parse(String(await received(incoming)))).toMatchObject({ error: { code: "file/no-space" } });
    expect(await small.files.readText("/root/full")).toBe("as it was");
    await small.remove();
  });
});

describe("in the middle of it", () => {
  it("the file may become shorter: the answer breaks off", async () => {
    await files.write("/root/shrinks", content);
    const incoming = await stalled(place("/root/shrinks"));
    await sandbox.exec(": > /root/shrinks");
    await expect(received(incoming)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it.each(["reads", "writes"])("the sandbox may be removed while a client %s and does not go on", async (what) => {
    await using gone = await plybox.create({ name: "gone" });
    await gone.files.write("/root/large", content);
    if (what === "reads") {
      const incoming = await stalled(place("/root/large", "gone"));
      await gone.remove();
      await noRelay();
      await expect(received(incoming)).rejects.toMatchObject({ code: "ECONNRESET" });
    } else {
      const sent = await halfSent(place("/root/new", "gone"));
      const answered = once(sent, "response") as Promise<[IncomingMessage]>;
      await gone.remove();
      const [incoming] = await answered;
      expect(JSON.parse(String(await received(incoming)))).toMatchObject({ error: { code: "agent/unreachable" } });
      sent.destroy();
    }
  });

  it.each(["reads", "writes"])(
    "plyrelay may be killed while a client %s: nobody takes a part for the whole",
    async (what) => {
      await files.write("/root/target", "as it was");
      if (what === "reads") {
        const incoming = await stalled(place("/root/large"));
        process.kill(relays()[0] ?? 0, "SIGKILL");
        await expect(received(incoming)).rejects.toMatchObject({ code: "ECONNRESET" });
      } else {
        const sent = await halfSent(place("/root/target"));
        const answered = once(sent, "response") as Promise<[IncomingMessage]>;
        process.kill(relays()[0] ?? 0, "SIGKILL");
        expect((await answered)[0].statusCode).toBe(500);
        sent.destroy();
        expect(await files.readText("/root/target")).toBe("as it was");
      }
      expect((await sandbox.exec("true")).exitCode).toBe(0);
    },
  );
});
