import type { AnswerFields } from "./entry.ts";

/** What native/tree/main.cpp knows by these numbers. */
export const OPERATIONS = {
  ...{ open: 1, overlay: 2, entry: 3, list: 4, more: 5, drop: 6, read: 7, copy: 8 },
  ...{ stamp: 9, link: 10, remove: 11, whiteout: 12, opaque: 13, sync: 14, survey: 15, shared: 16 },
} as const;

/** Numbers as u32, bigints as u64, texts with one character a byte. */
export type Field = number | bigint | string;

/** Who has plytree do something. */
export interface TreeRequests {
  /**
   * Asks for one operation; `what` says in an error which path it was about.
   * @throws PlyboxError by the kernel's errno, with the step; `internal` when the program has ended
   */
  ask(operation: number, fields: readonly Field[], what: string): Promise<AnswerFields>;
}

/** A request as plytree reads it. */
export function encodeRequest(operation: number, fields: readonly Field[]): Buffer {
  const size = (field: Field) => (typeof field === "string" ? 4 + field.length : typeof field === "bigint" ? 8 : 4);
  const length = fields.reduce((sum: number, field) => sum + size(field), 1);
  const bytes = Buffer.allocUnsafe(4 + length);
  bytes.writeUInt32LE(length, 0);
  let at = bytes.writeUInt8(operation, 4);
  for (const field of fields) {
    if (typeof field === "number") at = bytes.writeUInt32LE(field, at);
    else if (typeof field === "bigint") at = bytes.writeBigUInt64LE(field, at);
    else at = bytes.writeUInt32LE(field.length, at) + bytes.write(field, at + 4, "latin1");
  }
  return bytes;
}
