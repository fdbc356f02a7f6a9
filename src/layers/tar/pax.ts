import { badArchive, shown } from "./archive-error.ts";

/** Records `LENGTH KEY=VALUE\n`, the value as bytes, since attributes may hold anything. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

/** @throws PlyboxError `file/bad-archive` */
export function parsePax(bytes: Buffer): PaxRecords {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const digits = space === -1 || space - at > 8 ? "" : bytes.toString("latin1", at, space);
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, space);
    const isSound = /^[0-9]+$/.test(digits) && equals > space && end <= bytes.length && equals < end;
    if (!isSound || bytes[end - 1] !== 0x0a) throw badArchive("a pax record is damaged");
    records.set(bytes.toString("latin1", space + 1, equals), bytes.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

export function formatPax(records: PaxRecords): Buffer {
  const parts = [...records].map(([key, value]) => {
    const rest = Buffer.concat([Buffer.from(` ${key}=`, "latin1"), value, Buffer.from("\n")]);
    // The length counts its own digits.
    let length = rest.length + 1;
    while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
    return Buffer.concat([Buffer.from(String(length)), rest]);
  });
  return Buffer.concat(parts);
}

/** @throws PlyboxError `file/bad-archive` */
export function paxNumber(records: PaxRecords, key: string): number | undefined {
  const text = records.get(key)?.toString("latin1");
  if (text === undefined) return undefined;
  // Times have fractions, which an image has not.
  const number = Math.floor(Number(text));
  if (/^-?[0-9]{1,16}(?:\.[0-9]*)?$/.test(text) && Number.isSafeInteger(number)) return number;
  throw badArchive(`its ${key} is ${shown(text)}`);
}
