import type { Duplex } from "node:stream";
import { pipeline } from "node:stream";

/**
 * Carries bytes both ways between two connections until both directions have ended. The end of one direction leaves the
 * other open; a failure of either ends both. Resolves then; never rejects.
 */
export async function joinStreams(a: Duplex, b: Duplex): Promise<void> {
  const carry = (from: Duplex, to: Duplex): Promise<void> =>
    new Promise((resolve) => {
      pipeline(from, to, (error) => {
        // Somebody who only reads would otherwise wait for ever.
        if (error != null) {
          from.destroy();
          to.destroy();
        }
        resolve();
      });
    });
  await Promise.all([carry(a, b), carry(b, a)]);
  a.destroy();
  b.destroy();
}
