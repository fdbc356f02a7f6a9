import type { Entry } from "./entry.ts";
import type { Node } from "./stack.ts";
import type { Piece } from "./tree.ts";

/** What is smaller is read as fast as it is asked where it lies, and often lies in no block of its own. */
const LEAST_SHARED_BYTES = 4096;

/** What of an entry differs. */
export type Aspect = "content" | "mode" | "owner" | "target" | "device" | "attributes" | "time";

/**
 * In what two nodes of one kind differ; of directories what is in them does not count. Bytes are read only where sizes
 * are equal, the files are of two plies, and one is no copy on write of the other. Times count where they are asked for.
 */
export async function differences(a: Node, b: Node, withTimes = false): Promise<Aspect[]> {
  if (a.tree === b.tree && a.path === b.path) return [];
  const found: Aspect[] = [];
  if (a.entry.kind === "file" && !(await isSameContent(a, b))) found.push("content");
  if (a.entry.mode !== b.entry.mode) found.push("mode");
  if (a.entry.uid !== b.entry.uid || a.entry.gid !== b.entry.gid) found.push("owner");
  if (a.entry.target !== b.entry.target) found.push("target");
  if (a.entry.device !== b.entry.device) found.push("device");
  if (!isSameAttributes(a.entry.attributes, b.entry.attributes)) found.push("attributes");
  if (withTimes && a.entry.modified !== b.entry.modified) found.push("time");
  return found;
}

const isSameAttributes = (a: Entry["attributes"], b: Entry["attributes"]): boolean =>
  a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value));

async function isSameContent(a: Node, b: Node): Promise<boolean> {
  if (a.entry.size !== b.entry.size) return false;
  if (a.entry.size > LEAST_SHARED_BYTES && (await a.tree.sharesBlocks(a.path, b.tree, b.path))) return true;
  const [one, other] = [new Reading(a), new Reading(b)];
  try {
    for (let at = 0; at < a.entry.size; ) {
      const [left, right] = [await one.from(at), await other.from(at)];
      const length = Math.min(left.length, right.length);
      if (!isSameStretch(left.bytes?.subarray(0, length), right.bytes?.subarray(0, length))) return false;
      at += length;
    }
    return true;
  } finally {
    await Promise.all([one.close(), other.close()]);
  }
}

/** Of the same length; undefined stands for zeros. */
function isSameStretch(a: Buffer | undefined, b: Buffer | undefined): boolean {
  if (a !== undefined && b !== undefined) return a.equals(b);
  return (a ?? b)?.every((byte) => byte === 0) ?? true;
}

interface Stretch {
  readonly length: number;
  /** Undefined for zeros. */
  readonly bytes: Buffer | undefined;
}

/** A file's content from the beginning to the end, in stretches of bytes and of zeros. */
class Reading {
  readonly #pieces: AsyncGenerator<Piece>;
  readonly #size: number;
  #piece: Piece | undefined;
  #isAtEnd = false;

  constructor({ tree, path, entry }: Node) {
    this.#pieces = tree.content(path);
    this.#size = entry.size;
  }

  /** What there is at `at`, which is never less than before; at least one byte. */
  async from(at: number): Promise<Stretch> {
    while (!this.#isAtEnd && (this.#piece === undefined || this.#piece.offset + this.#piece.bytes.length <= at)) {
      const { value } = await this.#pieces.next();
      this.#isAtEnd = value === undefined;
      this.#piece = value;
    }
    if (this.#piece === undefined) return { length: this.#size - at, bytes: undefined };
    const { offset, bytes } = this.#piece;
    if (offset > at) return { length: offset - at, bytes: undefined };
    return { length: offset + bytes.length - at, bytes: bytes.subarray(at - offset) };
  }

  async close(): Promise<void> {
    await this.#pieces.return(undefined);
  }
}
