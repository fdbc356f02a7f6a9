/** Smaller ones are not worth the call, and may lie in memory that Node shares among many. */
const LEAST_BYTES = 16_384;

const closed = new MessageChannel().port1;
closed.close();

/**
 * Frees the memory of bytes that nobody needs any more: of a fast stream the collector would do so much later, and all
 * at once. They are empty afterwards. Harmless on a part of something larger.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer, byteLength } = bytes;
  if (byteLength < LEAST_BYTES || byteLength !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return;
  // What is sent to nobody takes along what goes with it.
  closed.postMessage(undefined, [buffer]);
}
