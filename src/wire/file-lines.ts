import { ProtocolViolation } from "./protocol-violation.ts";
import type { Reader } from "./strict-reader.ts";

/** What an agent keeps to (docs/protocol.md, `file`), whatever paths and files there are in its sandbox. */
const MAX_LINE_BYTES = 524_288;
const LF = 0x0a;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Checked JSON objects, one a line, in batches as they came; memory is bounded by a line and a chunk.
 * @throws ProtocolViolation for a line that is too long or is not what `read` wants, or none at the end
 */
export async function* fileLines<T>(chunks: AsyncIterable<Uint8Array>, read: Reader<T>): AsyncGenerator<readonly T[]> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    const last = chunk.lastIndexOf(LF);
    if (last !== -1) {
      yield parse(Buffer.concat([...rest, chunk.subarray(0, last)]), read);
      rest = [];
      restBytes = 0;
    }
    const tail = chunk.subarray(last + 1);
    if (tail.length === 0) continue;
    // A copy: a little of a chunk would keep all of it.
    rest.push(Buffer.from(tail));
    restBytes += tail.length;
    if (restBytes > MAX_LINE_BYTES) throw new ProtocolViolation("payload", `a line of over ${MAX_LINE_BYTES} bytes`);
  }
  if (restBytes > 0) throw new ProtocolViolation("payload", "the last line is cut off");
}

function parse<T>(bytes: Uint8Array, read: Reader<T>): readonly T[] {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new ProtocolViolation("payload", "a line is not UTF-8");
  }
  return text.split("\n").map((line) => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw new ProtocolViolation("payload", "a line is no JSON");
    }
    return read(value, "line");
  });
}
