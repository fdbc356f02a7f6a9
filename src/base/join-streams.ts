import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/**
 * Carries bytes both ways between two connections until both directions have ended. The end of one direction leaves the
 * other open; a failure of either breaks both off, on TCP by a reset. Resolves then; never rejects.
 *
 * By bare pipes: Node's `pipeline` listens six times for the close of each connection, and with what an HTTP server has
 * left on it that is more than Node takes for no leak.
 */
export async function joinStreams(a: Duplex, b: Duplex): Promise<void> {
  const ended = Promise.all([tie(a, b), tie(b, a)]);
  a.pipe(b);
  b.pipe(a);
  await ended;
}

/** Breaks `to` off once `from` has closed before both its directions had ended. Resolves when it has closed. */
function tie(from: Duplex, to: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const closed = (): void => {
      if (!from.readableEnded || !from.writableFinished) breakOff(to);
      resolve();
    };
    // What failed closes next; without any listener the error would end the process.
    from.on("error", () => {});
    if (from.closed) closed();
    else from.once("close", closed);
  });
}

/** An ordinary close would look like an end, and a part like the whole. */
function breakOff(stream: Duplex): void {
  if (stream instanceof Socket && stream.remoteAddress !== undefined) stream.resetAndDestroy();
  else stream.destroy();
}
