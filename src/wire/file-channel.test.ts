import { Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ScriptedPeer } from "../../test/support/scripted-peer.ts";
import type { OpenedFile } from "../model/file.ts";
import { newSandboxId } from "../model/ids.ts";
import { AgentLink } from "./agent-link.ts";
import type { FileDownload } from "./file-download.ts";
import { fileLines } from "./file-lines.ts";
import { readBytes, readListed, readOpened, readStat, readWritten } from "./file-messages.ts";
import type { FileUpload } from "./file-upload.ts";

const sandbox = newSandboxId();
const entry = {
  ...{ name: "a", type: "file", size: 5, mode: 0o644, uid: 0, gid: 0, mtimeNs: "1700000000000000000" },
  ...{ inode: "12", links: 1 },
};
const opened = { entry, etag: "c-5", from: 0, to: 5 };

let peer: ScriptedPeer;
let agent: AgentLink;
beforeEach(async () => {
  peer = await ScriptedPeer.start();
  agent = new AgentLink(peer.stream, sandbox, 1);
  await peer.next("hello");
  const json = { generation: 1, role: "agent", version: "0.1.0", sandbox, incarnation: 1, capabilities: [] };
  peer.send({ kind: "hello", channel: 0, json });
});
afterEach(async () => {
  agent.close();
  await peer[Symbol.asyncDispose]();
});

type Download = FileDownload<OpenedFile, { readonly bytes: number }>;

async function download(ack: object = opened): Promise<{ stream: Download; channel: number; granted: number }> {
  const pending = agent.download({ type: "file", op: "read", path: "/a" }, { ack: readOpened, report: readBytes });
  const { channel } = await peer.next("open");
  const { bytes: granted } = await peer.next("credit");
  peer.send({ kind: "ack", channel, json: { ...ack } });
  return { stream: await pending, channel, granted };
}

async function upload(): Promise<{
  stream: FileUpload<{ readonly bytes: number; readonly etag: string }>;
  channel: number;
}> {
  const check = (sent: number, { bytes }: { readonly bytes: number }): boolean => sent === bytes;
  const pending = agent.upload({ type: "file", op: "write", path: "/a" }, { report: readWritten, check });
  const { channel } = await peer.next("open");
  peer.send({ kind: "ack", channel, json: {} });
  return { stream: await pending, channel };
}

const data = (channel: number, offset: number, text: string) =>
  peer.send({ kind: "data", channel, stream: 1, offset, bytes: Buffer.from(text) });
const end = (channel: number, offset: number) => peer.send({ kind: "end", channel, stream: 1, offset });
const exit = (channel: number, json: object) => peer.send({ kind: "exit", channel, json: { ...json } });

describe("a download", () => {
  it("gives the bytes, and ends when the agent has said that they are all", async () => {
    const { stream, channel } = await download();
    data(channel, 0, "he");
    data(channel, 2, "llo");
    end(channel, 5);
    exit(channel, { bytes: 5 });
    expect(Buffer.concat(await stream.toArray()).toString()).toBe("hello");
    expect(stream.report).toEqual({ bytes: 5 });
  });

  it("fails where the agent fails in the middle", async () => {
    const { stream, channel } = await download();
    data(channel, 0, "he");
    peer.send({ kind: "error", channel, json: { code: "io", message: "read: Input/output error", errno: "EIO" } });
    await expect(stream.toArray()).rejects.toMatchObject({ code: "file/failed", errno: "EIO" });
  });

  it("that failed before it is asked for is poured into nothing, and says so", async () => {
    const pending = agent.download({ type: "file", op: "read", path: "/a" }, { ack: readOpened, report: readBytes });
    const { channel } = await peer.next("open");
    // In one piece: the stream is gone before its opener has a turn.
    peer.send({ kind: "ack", channel, json: opened }, { kind: "ack", channel, json: opened });
    const stream = await pending;
    await agent.ended;
    await new Promise((resolve) => setImmediate(resolve));
    await expect(stream.pour(new Writable())).rejects.toMatchObject({ code: "agent/protocol" });
  });

  it("fails where the connection ends before the report", async () => {
    const { stream, channel } = await download();
    data(channel, 0, "hello");
    end(channel, 5);
    await peer.flush(Buffer.alloc(0));
    peer.hangUp();
    await expect(stream.toArray()).rejects.toMatchObject({ code: "agent/unreachable" });
  });

  it("grants nothing more to a reader that does not read", async () => {
    const { stream, channel, granted } = await download({ ...opened, entry: { ...entry, size: 0 }, to: 0 });
    const window = granted + 262_144;
    const piece = "x".repeat(262_144);
    for (let at = 0; at < window; at += piece.length) data(channel, at, piece);
    stream.once("readable", () => {});
    expect(stream.readableLength).toBeLessThanOrEqual(piece.length);
    data(channel, window, "x");
    await expect(agent.ended).resolves.toMatchObject({ code: "agent/protocol" });
  });

  it("pours into a sink all there is, and grants more when the sink has taken it", async () => {
    const { stream, channel } = await download({ ...opened, entry: { ...entry, size: 0 }, to: 0 });
    const pieces: string[] = [];
    let take = (): void => {};
    const asked = new Promise<void>((resolve) => {
      take = resolve;
    });
    const sink = new Writable({
      write(piece: Buffer, _encoding, done) {
        pieces.push(piece.toString());
        void asked.then(() => done());
      },
    });
    const poured = stream.pour(sink);
    const piece = "x".repeat(262_144);
    data(channel, 0, piece);
    await expect.poll(() => pieces.length).toBeGreaterThan(0);
    const credit = peer.next("credit");
    take();
    expect(await credit).toMatchObject({ channel, bytes: piece.length });
    data(channel, piece.length, "end");
    end(channel, piece.length + 3);
    exit(channel, { bytes: piece.length + 3 });
    await poured;
    expect(pieces.join("")).toBe(`${piece}end`);
    expect(stream.destroyed).toBe(true);
    expect(sink.writableEnded).toBe(false);
  });

  it("that is poured rejects with what fails in the middle", async () => {
    const { stream, channel } = await download();
    const poured = stream.pour(new Writable({ write: (_piece, _encoding, done) => done() }));
    data(channel, 0, "he");
    peer.send({ kind: "error", channel, json: { code: "io", message: "read: Input/output error", errno: "EIO" } });
    await expect(poured).rejects.toMatchObject({ code: "file/failed" });
  });

  it("ends with the sink that it is poured into", async () => {
    const { stream } = await download();
    const sink = new Writable({ write: (_piece, _encoding, done) => done() });
    const poured = stream.pour(sink);
    sink.destroy();
    await expect(poured).rejects.toMatchObject({ code: "aborted" });
    await peer.next("close");
  });

  const BREACHES: Readonly<Record<string, (channel: number) => void>> = {
    "a gap": (channel) => data(channel, 1, "x"),
    "bytes twice": (channel) => {
      data(channel, 0, "x");
      data(channel, 0, "x");
    },
    "another stream": (channel) => peer.send({ kind: "data", channel, stream: 2, offset: 0, bytes: Buffer.from("x") }),
    "an end elsewhere": (channel) => end(channel, 3),
    "a report before the end": (channel) => exit(channel, { bytes: 0 }),
    "a second ack": (channel) => peer.send({ kind: "ack", channel, json: { ...opened } }),
    "a report with more in it": (channel) => {
      end(channel, 0);
      exit(channel, { bytes: 0, more: 1 });
    },
  };
  it.each(Object.entries(BREACHES))("ends the link on %s", async (_name, breach) => {
    const { channel } = await download();
    breach(channel);
    await expect(agent.ended).resolves.toMatchObject({ code: "agent/protocol" });
  });

  it.each([
    { ...opened, to: -1 },
    { ...opened, from: 6 },
    { ...opened, etag: 'a"\r\nx: y' },
    { ...opened, entry: { ...entry, type: "door" } },
    { ...opened, entry: { ...entry, mode: 0o10000 } },
    { ...opened, entry: { ...entry, mtimeNs: "now" } },
    { ...opened, entry: { ...entry, name: { base64: "a\n" } } },
  ])("refuses the ack %j", async (ack) => {
    await expect(download(ack)).rejects.toMatchObject({ code: "agent/protocol" });
  });
});

describe("an upload", () => {
  it("finishes when the agent has reported that all is done", async () => {
    const { stream, channel } = await upload();
    stream.end("hello");
    expect(Buffer.from((await peer.next("data")).bytes).toString()).toBe("hello");
    expect(await peer.next("end")).toMatchObject({ stream: 0, offset: 5 });
    expect(stream.writableFinished).toBe(false);
    exit(channel, { bytes: 5, etag: "e" });
    expect(await stream.report).toEqual({ bytes: 5, etag: "e" });
  });

  it("fails with what the agent says, in the middle too", async () => {
    const { stream, channel } = await upload();
    stream.write("hello");
    await peer.next("data");
    peer.send({ kind: "error", channel, json: { code: "no-space", message: "write: No space left", errno: "ENOSPC" } });
    await expect(stream.report).rejects.toMatchObject({ code: "file/no-space", errno: "ENOSPC" });
    expect(stream.destroyed).toBe(true);
  });

  it("sends no more than the agent's credit", async () => {
    const { stream, channel } = await upload();
    stream.write(Buffer.alloc(300_000));
    let received = 0;
    while (received < 262_144) received += (await peer.next("data")).bytes.length;
    expect(received).toBe(262_144);
    peer.send({ kind: "credit", channel, bytes: 100_000 });
    expect((await peer.next("data")).offset).toBe(262_144);
  });

  it.each([
    ["a report of other bytes", { bytes: 4, etag: "e" }, true],
    ["a report before the end", { bytes: 0, etag: "e" }, false],
  ] as const)("ends the link on %s", async (_name, report, isEnded) => {
    const { stream, channel } = await upload();
    if (isEnded) {
      stream.end("hello");
      await peer.next("data");
      await peer.next("end");
    }
    exit(channel, report);
    await expect(agent.ended).resolves.toMatchObject({ code: "agent/protocol" });
  });

  it("that is given up is closed", async () => {
    const { stream } = await upload();
    stream.destroy();
    await peer.next("close");
    await expect(stream.report).rejects.toMatchObject({ code: "aborted" });
  });
});

it.each([
  ["no-such-file", "file/not-found"],
  ["file-exists", "file/exists"],
  ["permission-denied", "file/permission-denied"],
  ["read-only", "file/permission-denied"],
  ["changed", "file/changed"],
  ["bad-user", "input/invalid"],
  ["something-new", "file/failed"],
])("the refusal %s is %s", async (code, known) => {
  const pending = agent.file({ type: "file", op: "stat", path: "/a" }, readStat);
  const { channel } = await peer.next("open");
  peer.send({ kind: "error", channel, json: { code, message: "no", field: "path" } });
  await expect(pending).rejects.toMatchObject({ code: known, message: "no", field: "path" });
});

describe("lines", () => {
  const line = (path: string): string => `${JSON.stringify({ path, entry })}\n`;
  async function* inPieces(text: string, size: number): AsyncGenerator<Uint8Array> {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const read = async (text: string, size = 7): Promise<unknown[]> => {
    const found: unknown[] = [];
    for await (const batch of fileLines(inPieces(text, size), readListed)) found.push(...batch);
    return found;
  };

  it.each([1, 7, 1000])("come whole in pieces of %i bytes", async (size) => {
    const found = await read(line("ü\n") + line("b"), size);
    expect(found).toMatchObject([{ path: "ü\n" }, { path: "b" }]);
  });

  it.each([
    ["one that is cut off", line("a").slice(0, -1)],
    ["one that is no JSON", "{\n"],
    ["one that is something else", '{"path":"a"}\n'],
    ["one with more in it", '{"path":"a","error":{"code":"io"},"x":1}\n'],
  ])("%s is refused", async (_name, text) => {
    await expect(read(text)).rejects.toMatchObject({ reason: "payload" });
  });

  it("one without an end is refused before it is held", async () => {
    await expect(read("x".repeat(600_000), 65_536)).rejects.toThrow("a line of over");
  });
});
