import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Frame, FrameKind } from "../../src/wire/frame.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { FrameDecoder } from "../../src/wire/frame-decoder.ts";

type FrameOf<K extends FrameKind> = Extract<Frame, { readonly kind: K }>;

/** The far end of a link over a real Unix socket: does what the test says, sound or not, and tells what it got. */
export class ScriptedPeer implements AsyncDisposable {
  /** The link's end of the connection. */
  readonly stream: Socket;
  readonly #far: Socket;
  readonly #server: Server;
  readonly #directory: string;
  readonly #frames: Frame[] = [];
  #arrived: (() => void) | undefined;

  private constructor(parts: { directory: string; server: Server; stream: Socket; far: Socket }) {
    this.#directory = parts.directory;
    this.#server = parts.server;
    this.stream = parts.stream;
    this.#far = parts.far;
    const decoder = new FrameDecoder((frame) => {
      this.#frames.push(frame);
      this.#arrived?.();
    });
    this.#far.on("data", (chunk) => decoder.push(chunk));
    this.#far.on("error", () => {});
  }

  static async start(): Promise<ScriptedPeer> {
    const directory = await mkdtemp(join(tmpdir(), "plybox-peer-"));
    const path = join(directory, "peer.sock");
    const server = createServer().listen(path);
    await once(server, "listening");
    const stream = connect(path);
    const [far] = (await once(server, "connection")) as [Socket];
    return new ScriptedPeer({ directory, server, stream, far });
  }

  /** The next frame that the link has sent, which must be of this kind. */
  async next<K extends FrameKind>(kind: K): Promise<FrameOf<K>> {
    while (this.#frames.length === 0) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    const frame = this.#frames.shift() as Frame;
    if (frame.kind !== kind) throw new Error(`the link sent ${frame.kind}, not ${kind}`);
    return frame as FrameOf<K>;
  }

  send(...frames: Frame[]): void {
    this.sendRaw(Buffer.concat(frames.map(encodeFrame)));
  }

  sendRaw(bytes: Uint8Array): void {
    this.#far.write(bytes);
  }

  /** Stops taking what the link sends. */
  pause(): void {
    this.#far.pause();
  }

  hangUp(): void {
    this.#far.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stream.destroy();
    this.#far.destroy();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
    await rm(this.#directory, { recursive: true, force: true });
  }
}
