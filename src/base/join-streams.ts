import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream";

/**
 * Carries bytes both ways between two connections until both directions have ended. The end of one direction leaves the
 * other open; a failure of either breaks both off, on TCP by a reset. Resolves then; never rejects.
 */
export async function joinStreams(a: Duplex, b: Duplex): Promise<void> {
  // Both before the pipelines' own listeners, which close.
  tellBreaks(a, b);
  tellBreaks(b, a);
  await Promise.all([carry(a, b), carry(b, a)]);
  a.destroy();
  b.destroy();
}

const carry = (from: Duplex, to: Duplex): Promise<void> =>
  new Promise((resolve) => pipeline(from, to, () => resolve()));

function tellBreaks(from: Duplex, to: Duplex): void {
  const tell = (): void => {
    if (!from.readableEnded) breakOff(to);
  };
  from.once("error", tell);
  from.once("close", tell);
}

/** An ordinary close would look like an end, and a part like the whole. */
function breakOff(stream: Duplex): void {
  if (stream instanceof Socket && stream.remoteAddress !== undefined) stream.resetAndDestroy();
  else stream.destroy();
}
