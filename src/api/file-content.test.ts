import { once } from "node:events";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import type { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, expect, it } from "vitest";
import { PlyboxError } from "../model/errors.ts";
import type { SandboxFiles } from "../sandbox/files/sandbox-files.ts";
import { readContent } from "./file-content.ts";

const ENTRY = { name: "a", type: "file", size: 5, mode: 0o644, uid: 0, gid: 0, mtimeMs: 0, mtimeNs: 0 };
const REQUEST = "GET /file HTTP/1.1\r\nhost: x\r\n\r\n";

let server: Server;
let client: Socket;
afterEach(() => {
  client.destroy();
  server.close();
});

/** Connects to a server that reads a file of five bytes, of which `sent` come before its agent is gone. */
async function ask(sent: string): Promise<void> {
  let answered = 0;
  const content = {
    ack: { entry: ENTRY, etag: "e", from: 0, to: 5 },
    received: sent.length,
    async pour(sink: Writable) {
      await new Promise((resolve) => sink.write(sent, resolve));
      // The client asks again before the agent is found to be gone.
      await once(client, "data");
      throw new PlyboxError("agent/unreachable", "the agent is gone");
    },
    destroy() {},
  };
  const files = { read: async () => content } as unknown as SandboxFiles;
  server = createServer((incoming, outgoing) => {
    answered += 1;
    if (answered > 1) return void outgoing.end("second");
    const call = { params: { ref: "x" }, query: { path: "/a" }, signal: new AbortController().signal };
    void readContent(files, { ...call, incoming, outgoing } as Parameters<typeof readContent>[1], undefined);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.write(REQUEST);
}

it("leaves the connection to what is asked on it next, where all that was announced has come", async () => {
  await ask("hello");
  client.write(REQUEST.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
  expect(await text(client)).toMatch(/hello.*second$/s);
});

it("breaks the connection off where something is missing", async () => {
  await ask("hell");
  client.write(REQUEST);
  expect(await text(client)).toMatch(/hell$/);
});
