import { readFileSync } from "node:fs";

const TYPES = { directory: 0o040000, file: 0o100000, "character-device": 0o020000 } as const;

export interface InitramfsEntry {
  /** Without a leading slash. */
  readonly path: string;
  readonly type: keyof typeof TYPES;
  readonly mode: number;
  /** Of a file: the file of this machine that it is made of. */
  readonly source?: string;
  readonly device?: readonly [major: number, minor: number];
}

/** A cpio archive in the `newc` format, as the kernel unpacks it: everything is root's. */
export function initramfs(entries: readonly InitramfsEntry[]): Buffer {
  const records = entries.map((entry, index) =>
    record(entry.path, {
      inode: index + 1,
      mode: TYPES[entry.type] | entry.mode,
      content: entry.source === undefined ? Buffer.alloc(0) : readFileSync(entry.source),
      device: entry.device ?? [0, 0],
    }),
  );
  return Buffer.concat([
    ...records,
    record("TRAILER!!!", { inode: 0, mode: 0, content: Buffer.alloc(0), device: [0, 0] }),
  ]);
}

interface Fields {
  readonly inode: number;
  readonly mode: number;
  readonly content: Buffer;
  readonly device: readonly [major: number, minor: number];
}

/** Header with the name, and the content, each filled up to a multiple of four bytes. */
function record(name: string, { inode, mode, content, device }: Fields): Buffer {
  const nameBytes = Buffer.byteLength(name) + 1;
  // inode, mode, uid, gid, links, mtime, size, device of the file (two), the device that it is (two), name, checksum
  const numbers = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, ...device, nameBytes, 0];
  const header = `070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}${name}\0`;
  return Buffer.concat([Buffer.from(header), padding(header.length), content, padding(content.length)]);
}

const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
