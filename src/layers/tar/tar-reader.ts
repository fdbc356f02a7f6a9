import type { FileHandle } from "node:fs/promises";
import { badArchive, shown } from "./archive-error.ts";
import type { PaxRecords } from "./pax.ts";
import { parsePax, paxNumber } from "./pax.ts";
import type { TarHeader } from "./tar-header.ts";
import { BLOCK, isZero, parseHeader } from "./tar-header.ts";

/** Long names and attributes of one entry; no honest one comes near. */
const MOST_RECORD_BYTES = 1024 * 1024;
/** What is said of all entries: it is looked at for each, and is a comment in all honest archives. */
const MOST_GLOBAL_BYTES = 4096;
/** Headers are read this much at once: most contents are shorter. */
const AHEAD_BYTES = 256 * 1024;

/** One entry with all that stands before it taken into account. */
export interface TarEntry extends TarHeader {
  /** Where its content begins in the file. */
  readonly offset: number;
  /** By their names, such as `user.mime_type`. */
  readonly attributes: ReadonlyMap<string, Buffer>;
}

/** What stands before an entry and is said of it. */
interface Said {
  name?: string;
  link?: string;
  records: PaxRecords;
}

const NOTHING: PaxRecords = new Map();
const ATTRIBUTE = "SCHILY.xattr.";

/**
 * The entries of an uncompressed archive in ustar, pax or GNU format, without their contents. It is what `file` has from
 * byte `from` to byte `to`.
 * @throws PlyboxError `file/bad-archive`, also for one that is cut off, and for sparse entries
 */
export async function* readTar(file: FileHandle, to: number, from = 0): AsyncGenerator<TarEntry> {
  const reader = new BlockReader(file, to);
  let global = NOTHING;
  let said: Said = { records: NOTHING };
  for (let at = from; ; ) {
    if (at + BLOCK > to) throw badArchive("it has no end: it is cut off");
    const block = await reader.read(at, BLOCK);
    if (isZero(block)) return;
    const header = parseHeader(block);
    const entry = join(header, at + BLOCK, global, said);
    if (entry.offset + entry.size > to) throw badArchive("it is cut off in the middle of an entry");
    at = entry.offset + Math.ceil(entry.size / BLOCK) * BLOCK;
    const record = await readRecord(reader, header, entry.offset);
    if (record === undefined) {
      said = { records: NOTHING };
      if (header.type !== "V") yield entry;
    } else if (header.type === "g") global = withGlobal(global, parsePax(record));
    else if (header.type === "x") said.records = parsePax(record);
    else if (header.type === "L") said.name = untilNul(record);
    else said.link = untilNul(record);
  }
}

/** The content of a header that says something of the next entry. */
async function readRecord(reader: BlockReader, { type, size }: TarHeader, at: number): Promise<Buffer | undefined> {
  if (!"xgLK".includes(type)) return undefined;
  if (size > MOST_RECORD_BYTES) throw badArchive(`a header has ${size} bytes`);
  return Buffer.from(await reader.read(at, size));
}

function withGlobal(global: PaxRecords, more: PaxRecords): PaxRecords {
  const all = new Map([...global, ...more]);
  let bytes = 0;
  for (const [key, value] of all) bytes += key.length + value.length;
  if (bytes > MOST_GLOBAL_BYTES) throw badArchive(`its global headers say more than ${MOST_GLOBAL_BYTES} bytes`);
  return all;
}

const untilNul = (bytes: Buffer): string => bytes.toString("latin1").split("\0", 1)[0] ?? "";

function join(header: TarHeader, offset: number, global: PaxRecords, said: Said): TarEntry {
  // Records are not said of records.
  if ("xgLK".includes(header.type)) return { ...header, offset, attributes: new Map() };
  const records = global.size === 0 ? said.records : new Map([...global, ...said.records]);
  const attributes = new Map<string, Buffer>();
  for (const [key, value] of records) {
    if (key.startsWith(ATTRIBUTE)) attributes.set(key.slice(ATTRIBUTE.length), value);
    if (key.startsWith("GNU.sparse.")) throw sparse(header.name);
  }
  if (header.type === "S") throw sparse(header.name);
  const text = (key: string): string | undefined => records.get(key)?.toString("latin1");
  const hasContent = "07".includes(header.type);
  const size = paxNumber(records, "size") ?? header.size;
  if (size < 0) throw badArchive(`its size is ${size}`);
  return {
    ...header,
    name: text("path") ?? said.name ?? header.name,
    link: text("linkpath") ?? said.link ?? header.link,
    uid: paxNumber(records, "uid") ?? header.uid,
    gid: paxNumber(records, "gid") ?? header.gid,
    mtime: paxNumber(records, "mtime") ?? header.mtime,
    // Some tell a size of what has no content.
    size: hasContent ? size : 0,
    offset,
    attributes,
  };
}

const sparse = (name: string) =>
  badArchive(`${shown(name)} is stored sparse, which is not read; make the archive without --sparse`);

/** Reads ahead, since most headers are close to one another. */
class BlockReader {
  readonly #file: FileHandle;
  readonly #fileBytes: number;
  #start = 0;
  #bytes = Buffer.alloc(0);

  constructor(file: FileHandle, fileBytes: number) {
    this.#file = file;
    this.#fileBytes = fileBytes;
  }

  /** @throws PlyboxError `file/bad-archive` where the file ends before */
  async read(at: number, length: number): Promise<Buffer> {
    if (at < this.#start || at + length > this.#start + this.#bytes.length) {
      const wanted = Math.min(Math.max(length, AHEAD_BYTES), this.#fileBytes - at);
      const buffer = Buffer.alloc(Math.max(wanted, 0));
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, at);
      this.#start = at;
      this.#bytes = buffer.subarray(0, bytesRead);
      if (bytesRead < length) throw badArchive("it is cut off");
    }
    return this.#bytes.subarray(at - this.#start, at - this.#start + length);
  }
}
