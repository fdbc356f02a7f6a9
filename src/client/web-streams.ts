import type { Duplex } from "node:stream";
import type { BareConnection } from "./transport.ts";

/**
 * A Node stream as web streams. Node's own conversion ends `readable` only when both directions have ended, which for a
 * server that has said all would be never.
 */
export function webStreamsOf(connection: BareConnection): {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
} {
  const duplex = connection as Duplex;
  const settle = (resolve: () => void, reject: (error: Error) => void) => (error?: Error | null) =>
    error == null ? resolve() : reject(error);
  const writable = new WritableStream<Uint8Array>({
    write: (bytes) => new Promise((resolve, reject) => duplex.write(bytes, settle(resolve, reject))),
    close: () => new Promise((resolve) => duplex.end(resolve)),
    abort: () => void duplex.destroy(),
  });
  return { readable: readableOf(duplex), writable };
}

function readableOf(duplex: Duplex): ReadableStream<Uint8Array> {
  let isOver = false;
  /** The first of several ends is the one that counts. */
  const once = (tell: () => void): void => {
    if (!isOver) tell();
    isOver = true;
  };
  return new ReadableStream<Uint8Array>({
    start(controller) {
      duplex.pause();
      duplex.on("data", (bytes: Uint8Array) => {
        if (isOver) return;
        controller.enqueue(bytes);
        if ((controller.desiredSize ?? 0) <= 0) duplex.pause();
      });
      duplex.on("end", () => once(() => controller.close()));
      duplex.on("error", (error) => once(() => controller.error(error)));
      duplex.on("close", () => once(() => controller.error(new Error("the connection was closed"))));
    },
    pull: () => void duplex.resume(),
    cancel: () => once(() => duplex.destroy()),
  });
}
