import { once } from "node:events";
import type { Socket } from "node:net";
import type { Frame, FrameKind } from "../../src/wire/frame.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { FrameDecoder } from "../../src/wire/frame-decoder.ts";

type FrameOf<K extends FrameKind> = Extract<Frame, { readonly kind: K }>;

/** One end of a connection at the level of frames, for tests that say things no Link would. */
export class FrameSocket implements Disposable {
  readonly #socket: Socket;
  readonly #frames: Frame[] = [];
  #isOver = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const decoder = new FrameDecoder((frame) => {
      this.#frames.push(frame);
      this.#wake?.();
    });
    socket.on("data", (chunk) => decoder.push(chunk));
    // A reset is as good an end as any: what came before it is what the test looks at.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#isOver = true;
      this.#wake?.();
    });
  }

  /** The next frame, which must be of this kind. */
  async next<K extends FrameKind>(kind: K): Promise<FrameOf<K>> {
    const frame = await this.#take();
    if (frame === undefined) throw new Error(`the connection ended before ${kind}`);
    if (frame.kind !== kind) throw new Error(`got ${JSON.stringify(frame)}, not ${kind}`);
    return frame as FrameOf<K>;
  }

  /** The next frame, whatever it is. */
  async any(): Promise<Frame> {
    const frame = await this.#take();
    if (frame === undefined) throw new Error("the connection has ended");
    return frame;
  }

  /** All frames until the other end hangs up. */
  async rest(): Promise<Frame[]> {
    const frames: Frame[] = [];
    for (let frame = await this.#take(); frame !== undefined; frame = await this.#take()) frames.push(frame);
    return frames;
  }

  send(...frames: Frame[]): void {
    this.sendRaw(Buffer.concat(frames.map(encodeFrame)));
  }

  sendRaw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Resolves when the kernel has taken the bytes, so that they do not go out together with later ones. */
  async flush(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#socket.write(bytes, () => resolve());
    });
  }

  /** Stops taking what the other end sends. */
  pause(): void {
    this.#socket.pause();
  }

  /** Says that nothing more comes; what the other end still sends can be read. */
  hangUp(): void {
    this.#socket.end();
  }

  async closed(): Promise<void> {
    if (!this.#isOver) await once(this.#socket, "close");
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #take(): Promise<Frame | undefined> {
    while (this.#frames.length === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#frames.shift();
  }
}
