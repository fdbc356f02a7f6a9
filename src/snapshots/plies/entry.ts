/** What may stand under a name. A whiteout hides the name in the plies below. */
export type EntryKind =
  | "file"
  | "directory"
  | "symlink"
  | "fifo"
  | "socket"
  | "character-device"
  | "block-device"
  | "whiteout";

/** One name of a ply with all that is kept of it but its bytes. Names and targets have one character a byte. */
export interface Entry {
  /** "" for the ply's root. */
  readonly name: string;
  readonly kind: EntryKind;
  /** Permission bits with set-user-id, set-group-id and sticky. */
  readonly mode: number;
  /** Ids on disk, so from 0 on. */
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file, its holes included; 0 of what is no file. */
  readonly size: number;
  readonly diskBytes: number;
  /** Seconds since 1970, and the rest. */
  readonly modified: number;
  readonly modifiedNanoseconds: number;
  /** Names that the file has; more than 1 in other places of the ply are hard links. */
  readonly links: number;
  /** The same for all names of one file, whatever the ply. */
  readonly inode: string;
  /** Major and minor number of a device; "" of what is none. */
  readonly device: string;
  /** Of a symlink. */
  readonly target: string;
  /** Extended attributes in the order of their names, without those of overlayfs. */
  readonly attributes: ReadonlyMap<string, Buffer>;
  /** Of a directory: whether it hides those of its name in the plies below. */
  readonly opaque: boolean;
}

const KINDS: ReadonlyMap<number, EntryKind> = new Map([
  [0o100000, "file"],
  [0o040000, "directory"],
  [0o120000, "symlink"],
  [0o010000, "fifo"],
  [0o140000, "socket"],
  [0o020000, "character-device"],
  [0o060000, "block-device"],
]);

/** The type's bits of a mode as stat(2) has it. */
export const typeBits = (kind: EntryKind): number => {
  const shown = kind === "whiteout" ? "character-device" : kind;
  for (const [bits, known] of KINDS) if (known === shown) return bits;
  throw new Error(`no type ${kind}`);
};

/** Takes the fields of an answer of plytree, in their order; little-endian as every machine that Plybox runs on. */
export class AnswerFields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isDone(): boolean {
    return this.#at === this.#bytes.length;
  }

  u32(): number {
    const value = this.#bytes.readUInt32LE(this.#at);
    this.#at += 4;
    return value;
  }

  u64(): bigint {
    const value = this.#bytes.readBigUInt64LE(this.#at);
    this.#at += 8;
    return value;
  }

  bytes(): Buffer {
    const length = this.u32();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return this.bytes().toString("latin1");
  }

  rest(): Buffer {
    const rest = this.#bytes.subarray(this.#at);
    this.#at = this.#bytes.length;
    return rest;
  }
}

/** An entry as native/tree/entry.cpp writes it. */
export function takeEntry(fields: AnswerFields): Entry {
  const inode = `${fields.u64()}:${fields.u64()}`;
  const [size, blocks, modified] = [
    Number(fields.u64()),
    Number(fields.u64()),
    Number(BigInt.asIntN(64, fields.u64())),
  ];
  const [modifiedNanoseconds, mode, uid, gid, links] = [
    fields.u32(),
    fields.u32(),
    fields.u32(),
    fields.u32(),
    fields.u32(),
  ];
  const [major, minor, opaque] = [fields.u32(), fields.u32(), fields.u32()];
  const [name, target] = [fields.text(), fields.text()];
  const attributes = new Map<string, Buffer>();
  // A copy, since the answer around it would be kept for it.
  for (let left = fields.u32(); left > 0; left--) attributes.set(fields.text(), Buffer.from(fields.bytes()));
  const type = KINDS.get(mode & 0o170000) ?? "character-device";
  const isDevice = type === "character-device" || type === "block-device";
  const kind = type === "character-device" && major === 0 && minor === 0 ? "whiteout" : type;
  return {
    ...{ name, kind, mode: mode & 0o7777, uid, gid, size: kind === "file" ? size : 0, diskBytes: blocks * 512 },
    ...{ modified, modifiedNanoseconds, links, inode, device: isDevice ? `${major}:${minor}` : "", target, attributes },
    opaque: kind === "directory" && opaque !== 0,
  };
}

/** A path as people are shown it. */
export const shownPath = (path: string): string =>
  JSON.stringify(Buffer.from(path.slice(0, 4096), "latin1").toString());

export const inDirectory = (directory: string, name: string): string =>
  directory === "" ? name : `${directory}/${name}`;
