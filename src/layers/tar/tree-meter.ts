import { PlyboxError } from "../../model/errors.ts";
import { shown } from "./archive-error.ts";
import type { TarEntry } from "./tar-reader.ts";

/** Names, targets and attributes are in memory until the layer is packed, unlike contents. */
const MOST_DESCRIBED_BYTES = 512 * 1024 ** 2;
/** What an image has room for. */
const LATEST = 2 ** 32 - 1;

export interface TreeBounds {
  readonly inodes: number;
  readonly unpackedBytes: number;
}

/** Counts what archives describe, of one layer or of several that become one, and refuses what is too much. */
export class TreeMeter {
  readonly #bounds: TreeBounds;
  #inodes = 0;
  #bytes = 0;
  #describedBytes = 0;
  #latest = 0;

  constructor(bounds: TreeBounds) {
    this.#bounds = bounds;
  }

  /** Bytes of files, each name of a file counted once. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The latest time of any entry, in seconds since 1970. */
  get latest(): number {
    return this.#latest;
  }

  /** @throws PlyboxError `layer/too-large` */
  countEntry({ size, mtime, name, link, attributes }: TarEntry): void {
    this.countInode();
    this.#bytes += size;
    this.#latest = Math.max(this.#latest, clampTime(mtime));
    this.#describedBytes += name.length + link.length;
    for (const [key, value] of attributes) this.#describedBytes += key.length + value.length;
    const { unpackedBytes } = this.#bounds;
    if (this.#describedBytes > MOST_DESCRIBED_BYTES) {
      throw tooLarge(`its names and attributes have more than ${MOST_DESCRIBED_BYTES} bytes`);
    }
    if (this.#bytes > unpackedBytes) {
      throw tooLarge(`with ${shown(name)} it has more than the ${unpackedBytes} bytes that are allowed`);
    }
  }

  /** Also a directory that an entry only implies: one name can imply two thousand. */
  countInode(): void {
    this.#inodes++;
    const { inodes } = this.#bounds;
    if (this.#inodes > inodes) throw tooLarge(`it has more than ${inodes} entries`);
  }
}

export const clampTime = (seconds: number): number => Math.min(Math.max(seconds, 0), LATEST);

const tooLarge = (what: string): PlyboxError => new PlyboxError("layer/too-large", `the archive is refused: ${what}`);
