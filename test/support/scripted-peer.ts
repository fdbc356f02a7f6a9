import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FrameSocket } from "./frame-socket.ts";

/** The far end of a link over a real Unix socket: does what the test says, sound or not, and tells what it got. */
export class ScriptedPeer extends FrameSocket implements AsyncDisposable {
  /** The link's end of the connection. */
  readonly stream: Socket;
  readonly #server: Server;
  readonly #directory: string;

  private constructor(far: Socket, stream: Socket, server: Server, directory: string) {
    super(far);
    this.stream = stream;
    this.#server = server;
    this.#directory = directory;
  }

  static async start(): Promise<ScriptedPeer> {
    const directory = await mkdtemp(join(tmpdir(), "plybox-peer-"));
    const path = join(directory, "peer.sock");
    const server = createServer().listen(path);
    await once(server, "listening");
    const stream = connect(path);
    const [far] = (await once(server, "connection")) as [Socket];
    return new ScriptedPeer(far, stream, server, directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    this.stream.destroy();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
    await rm(this.#directory, { recursive: true, force: true });
  }
}
