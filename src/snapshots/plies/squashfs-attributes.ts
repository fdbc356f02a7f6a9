import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { PlyboxError } from "../../model/errors.ts";

/** The tables are held in memory, where a sandbox may have filled them. */
const MOST_TABLE_BYTES = 256 * 1024 ** 2;

/** Where the superblock has what is needed here. */
const SUPERBLOCK = { bytes: 96, bytesUsed: 40, attributesStart: 56 } as const;
const NO_TABLE = 0xffff_ffff_ffff_ffffn;
/** A block of a table, and what is before it: its length with a bit that says that it is not compressed. */
const BLOCK = { bytes: 8192, header: 2, isPlain: 0x8000 } as const;
/** One list of attributes: where it begins, how many, how many bytes. */
const LIST_BYTES = 16;
/** The table's head: where the attributes begin, how many lists there are. */
const HEAD_BYTES = 16;
const PREFIXES = ["user.", "trusted.", "security."] as const;
/** Of an attribute's type: its value is a reference to that of another. */
const ELSEWHERE = 0x100;
/**
 * What a list has that would be empty, which unsquashfs takes for damage: a note that overlayfs reads in uppers alone, that it
 * shows nobody, and that is the same on every machine.
 */
const NOTHING: readonly Attribute[] = [{ name: "trusted.overlay.impure", value: Buffer.from("y") }];
/** A value that is referred to takes so many bytes. */
const REFERENCE_BYTES = 8;
const IMAGE_UNIT = 4096;

/**
 * Takes extended attributes out of a squashfs image that was packed with them uncompressed (`-noX`). Inodes name a list of
 * attributes by its number, so as many lists stay, and only the table, which is the image's end, is written anew.
 * @param isKept whether the image keeps the attribute of that name
 * @throws PlyboxError `layer/too-large` for more than 256 MiB of attributes, `layer/corrupt` for what no mksquashfs makes
 */
export async function filterAttributes(image: string, isKept: (name: string) => boolean): Promise<void> {
  const file = await open(image, "r+");
  try {
    const superblock = await readAt(file, 0n, SUPERBLOCK.bytes);
    const start = superblock.readBigUInt64LE(SUPERBLOCK.attributesStart);
    if (start === NO_TABLE) return;
    const table = await AttributeTable.read(file, start, isKept);
    if (table.isWhole) return;
    const { bytes, head } = table.kept();
    const end = table.start + BigInt(bytes.length);
    const padding = Buffer.alloc((IMAGE_UNIT - Number(end % BigInt(IMAGE_UNIT))) % IMAGE_UNIT);
    await file.write(Buffer.concat([bytes, padding]), 0, null, Number(table.start));
    await file.truncate(Number(end) + padding.length);
    superblock.writeBigUInt64LE(end, SUPERBLOCK.bytesUsed);
    superblock.writeBigUInt64LE(table.start + BigInt(head), SUPERBLOCK.attributesStart);
    await file.write(superblock, 0, superblock.length, 0);
  } finally {
    await file.close();
  }
}

interface Attribute {
  readonly name: string;
  readonly value: Buffer;
}

/** Of one list what is kept, and whether that is all of it. */
interface KeptList {
  readonly attributes: readonly Attribute[];
  readonly isWhole: boolean;
}

class AttributeTable {
  /** Where in the image it begins. */
  readonly start: bigint;
  /** Whether all that it has is kept. */
  readonly isWhole: boolean;
  readonly #lists: readonly KeptList[];

  private constructor(start: bigint, lists: readonly KeptList[]) {
    this.start = start;
    this.#lists = lists;
    this.isWhole = lists.every(({ isWhole }) => isWhole);
  }

  static async read(file: FileHandle, headStart: bigint, isKept: (name: string) => boolean): Promise<AttributeTable> {
    const head = await readAt(file, headStart, HEAD_BYTES);
    const [start, count] = [head.readBigUInt64LE(0), head.readUInt32LE(8)];
    const tableBytes = Number(headStart - start);
    if (tableBytes > MOST_TABLE_BYTES || count * LIST_BYTES > MOST_TABLE_BYTES) {
      throw new PlyboxError("layer/too-large", `the extended attributes take more than ${MOST_TABLE_BYTES} bytes`);
    }
    const blockCount = Math.ceil((count * LIST_BYTES) / BLOCK.bytes);
    const index = await readAt(file, headStart + BigInt(HEAD_BYTES), 8 * blockCount);
    const listsStart = blockCount === 0 ? headStart : index.readBigUInt64LE(0);
    const values = joinBlocks(await readAt(file, start, Number(listsStart - start)));
    const lists = joinBlocks(await readAt(file, listsStart, Number(headStart - listsStart)));
    const read = Array.from({ length: count }, (_, i) =>
      readList(values, lists.readBigUInt64LE(i * LIST_BYTES), lists.readUInt32LE(i * LIST_BYTES + 8), isKept),
    );
    return new AttributeTable(start, read);
  }

  /** The table without the others, and where in it its head is. */
  kept(): { bytes: Buffer; head: number } {
    const values = new ValueWriter();
    const lists = this.#lists.map(({ attributes }) => values.add(attributes));
    const valueBlocks = splitBlocks(values.bytes());
    const listBlocks = splitBlocks(Buffer.concat(lists));
    const listsStart = valueBlocks.reduce((sum, block) => sum + block.length, 0);
    const head = Buffer.alloc(HEAD_BYTES + 8 * listBlocks.length);
    head.writeBigUInt64LE(this.start, 0);
    head.writeUInt32LE(lists.length, 8);
    let at = listsStart;
    for (const [i, block] of listBlocks.entries()) {
      head.writeBigUInt64LE(this.start + BigInt(at), HEAD_BYTES + 8 * i);
      at += block.length;
    }
    return { bytes: Buffer.concat([...valueBlocks, ...listBlocks, head]), head: at };
  }
}

/** Writes lists of attributes, each list and each long value once. */
class ValueWriter {
  readonly #parts: Buffer[] = [];
  readonly #lists = new Map<string, Buffer>();
  readonly #values = new Map<string, bigint>();
  #length = 0;

  /** What the table of lists says of it. */
  add(list: readonly Attribute[]): Buffer {
    const key = list.map(({ name, value }) => `${name}\0${value.toString("base64")}`).join("\0");
    const known = this.#lists.get(key) ?? this.#write(list.length === 0 ? NOTHING : list);
    this.#lists.set(key, known);
    return known;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #write(list: readonly Attribute[]): Buffer {
    const begin = this.#length;
    for (const attribute of list) this.#writeOne(attribute);
    const told = Buffer.alloc(LIST_BYTES);
    told.writeBigUInt64LE(referenceTo(begin), 0);
    told.writeUInt32LE(list.length, 8);
    told.writeUInt32LE(this.#length - begin, 12);
    return told;
  }

  #writeOne({ name, value }: Attribute): void {
    const prefix = PREFIXES.findIndex((known) => name.startsWith(known));
    const rest = Buffer.from(name.slice(PREFIXES[prefix]?.length), "latin1");
    const key = value.toString("base64");
    const elsewhere = value.length > REFERENCE_BYTES ? this.#values.get(key) : undefined;
    const head = Buffer.alloc(8 + rest.length);
    head.writeUInt16LE(prefix | (elsewhere === undefined ? 0 : ELSEWHERE), 0);
    head.writeUInt16LE(rest.length, 2);
    rest.copy(head, 4);
    head.writeUInt32LE(elsewhere === undefined ? value.length : REFERENCE_BYTES, 4 + rest.length);
    // A reference leads to the length before a value.
    this.#values.set(key, elsewhere ?? referenceTo(this.#length + 4 + rest.length));
    const body = elsewhere === undefined ? value : Buffer.alloc(REFERENCE_BYTES);
    if (elsewhere !== undefined) body.writeBigUInt64LE(elsewhere, 0);
    this.#parts.push(head, body);
    this.#length += head.length + body.length;
  }
}

/** A place in a table's bytes as references have it: the block's place in the image, and the place in the block. */
const referenceTo = (at: number): bigint =>
  (BigInt(Math.floor(at / BLOCK.bytes) * (BLOCK.bytes + BLOCK.header)) << 16n) | BigInt(at % BLOCK.bytes);

function placeOf(reference: bigint): number {
  const [block, offset] = [Number(reference >> 16n) / (BLOCK.bytes + BLOCK.header), Number(reference & 0xffffn)];
  check(Number.isInteger(block));
  return block * BLOCK.bytes + offset;
}

function readList(values: Buffer, reference: bigint, count: number, isKept: (name: string) => boolean): KeptList {
  const attributes: Attribute[] = [];
  let at = count === 0 ? 0 : placeOf(reference);
  for (let i = 0; i < count; i++) {
    check(at + 8 <= values.length);
    const [type, nameBytes] = [values.readUInt16LE(at), values.readUInt16LE(at + 2)];
    const prefix = PREFIXES[type & 0xff];
    const valueAt = at + 4 + nameBytes;
    check(prefix !== undefined && valueAt + 4 <= values.length);
    const name = prefix + values.toString("latin1", at + 4, valueAt);
    if (isKept(name)) {
      const value = readValue(values, valueAt);
      const isElsewhere = (type & ELSEWHERE) !== 0;
      attributes.push({ name, value: isElsewhere ? readValue(values, placeOf(value.readBigUInt64LE(0))) : value });
    }
    at = valueAt + 4 + values.readUInt32LE(valueAt);
  }
  check(at <= values.length);
  return { attributes, isWhole: attributes.length === count };
}

function readValue(values: Buffer, at: number): Buffer {
  check(at + 4 <= values.length);
  const end = at + 4 + values.readUInt32LE(at);
  check(end <= values.length);
  return values.subarray(at + 4, end);
}

/** The bytes of a table's blocks, which are all full but the last. */
function joinBlocks(stored: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < stored.length; ) {
    const header = stored.readUInt16LE(at);
    const length = header & ~BLOCK.isPlain;
    check((header & BLOCK.isPlain) !== 0 && at + BLOCK.header + length <= stored.length);
    parts.push(stored.subarray(at + BLOCK.header, at + BLOCK.header + length));
    at += BLOCK.header + length;
  }
  check(parts.slice(0, -1).every((part) => part.length === BLOCK.bytes));
  return Buffer.concat(parts);
}

function splitBlocks(bytes: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK.bytes) {
    const part = bytes.subarray(at, at + BLOCK.bytes);
    const header = Buffer.alloc(BLOCK.header);
    header.writeUInt16LE(part.length | BLOCK.isPlain);
    blocks.push(Buffer.concat([header, part]));
  }
  return blocks;
}

async function readAt(file: FileHandle, position: bigint, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, Number(position));
  check(bytesRead === length);
  return bytes;
}

function check(isSound: boolean): asserts isSound {
  if (!isSound)
    throw new PlyboxError("layer/corrupt", "the table of extended attributes is not as mksquashfs makes it");
}
