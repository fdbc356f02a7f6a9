import { badArchive, shown } from "./archive-error.ts";

export const BLOCK = 512;

/** What one header block says; names are one character a byte. */
export interface TarHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** The type's character; `0` for NUL, which old archives have. */
  readonly type: string;
  readonly link: string;
  readonly major: number;
  readonly minor: number;
}

const textAt = (block: Buffer, from: number, to: number): string => {
  const field = block.subarray(from, to);
  const end = field.indexOf(0);
  return field.toString("latin1", 0, end === -1 ? field.length : end);
};

/** Octal digits between blanks, or with the highest bit set the rest of the field in binary. */
function numberAt(block: Buffer, from: number, to: number, what: string): number {
  const first = block[from] ?? 0;
  if ((first & 0x80) === 0) {
    const text = textAt(block, from, to).trim();
    if (!/^[0-7]*$/.test(text)) throw badArchive(`its ${what} is ${shown(text)}`);
    return Number.parseInt(text || "0", 8);
  }
  // Two's complement: times before 1970 are written so.
  let value = BigInt(first & 0x40 ? first - 256 : first & 0x3f);
  for (let i = from + 1; i < to; i++) value = value * 256n + BigInt(block[i] ?? 0);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw badArchive(`its ${what} is ${value}`);
  return number;
}

export const isZero = (block: Buffer): boolean => block.every((byte) => byte === 0);

/** @throws PlyboxError `file/bad-archive` */
export function parseHeader(block: Buffer): TarHeader {
  const claimed = Number.parseInt(textAt(block, 148, 156), 8);
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0 : (block[i] ?? 0);
  if (sum !== claimed) throw badArchive("a header's checksum is wrong: it is no tar, or damaged");
  const name = textAt(block, 0, 100);
  const prefix = block.toString("latin1", 257, 263) === "ustar\0" ? textAt(block, 345, 500) : "";
  const type = String.fromCharCode(block[156] || 0x30);
  const isDevice = type === "3" || type === "4";
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    mode: numberAt(block, 100, 108, "mode") & 0o7777,
    uid: numberAt(block, 108, 116, "owner"),
    gid: numberAt(block, 116, 124, "group"),
    size: numberAt(block, 124, 136, "size"),
    mtime: numberAt(block, 136, 148, "time"),
    type,
    link: textAt(block, 157, 257),
    // Archives without devices may have anything there.
    major: isDevice ? numberAt(block, 329, 337, "device") : 0,
    minor: isDevice ? numberAt(block, 337, 345, "device") : 0,
  };
}

/** A header in the POSIX format; what does not fit in it is the caller's to put into a record before. */
export function formatHeader(header: TarHeader): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, from: number, digits: number): void => {
    block.write(value.toString(8).padStart(digits, "0"), from, "latin1");
  };
  block.write(header.name.slice(0, 100), 0, "latin1");
  octal(header.mode, 100, 7);
  octal(header.uid, 108, 7);
  octal(header.gid, 116, 7);
  octal(Math.min(header.size, 0o77777777777), 124, 11);
  octal(header.mtime, 136, 11);
  block.write(header.type, 156, "latin1");
  block.write(header.link.slice(0, 100), 157, "latin1");
  block.write("ustar\u000000", 257, "latin1");
  octal(header.major, 329, 7);
  octal(header.minor, 337, 7);
  block.fill(0x20, 148, 156);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  block[154] = 0;
  return block;
}
