import { createHash } from "node:crypto";
import { badImage } from "./image-error.ts";
import type { ImageFiles } from "./image-files.ts";

/** As registries have it. */
const MOST_JSON_BYTES = 4 * 1024 * 1024;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

export type Fields = Readonly<Record<string, unknown>>;

/** Refers to a file by its content. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: number;
  readonly fields: Fields;
}

export interface JsonFile {
  readonly fields: Fields;
  readonly digest: string;
}

/**
 * Reads a small file and compares it with its digest where there is one.
 * @throws PlyboxError `image/invalid`
 */
export async function readJson(files: ImageFiles, name: string, digest?: string): Promise<JsonFile> {
  const file = await files.find(name);
  if (file === undefined) throw badImage(`it has no ${name}`);
  if (file.bytes > MOST_JSON_BYTES) throw badImage(`its ${name} has ${file.bytes} bytes`);
  const parts: Buffer[] = [];
  for await (const part of file.chunks()) parts.push(part);
  const bytes = Buffer.concat(parts);
  const found = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (digest !== undefined && found !== digest) throw badImage(`its ${name} does not match its digest`);
  return { fields: parseFields(bytes.toString(), name), digest: found };
}

function parseFields(text: string, name: string): Fields {
  try {
    return fieldsOf(JSON.parse(text), name);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw badImage(`its ${name} is no JSON`, cause);
  }
}

/** An object; an array too, whose fields are numbers. */
export function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null) return value as Fields;
  throw badImage(`its ${what} is malformed`);
}

/** Go writes null for a list of nothing. */
export function listOf(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw badImage(`its ${what} is malformed`);
}

export function textOf(value: unknown, what: string): string {
  // What becomes an argument, a variable or a path ends at a NUL.
  if (typeof value === "string" && !value.includes("\0")) return value;
  throw badImage(`its ${what} is malformed`);
}

export function digestOf(value: unknown, what: string): string {
  const digest = textOf(value, what);
  if (DIGEST.test(digest)) return digest;
  throw badImage(`its ${what} is ${JSON.stringify(digest.slice(0, 100))}, and only sha256 is known`);
}

export function descriptorOf(value: unknown, what: string): Descriptor {
  const fields = fieldsOf(value, what);
  const { size } = fields;
  if (!Number.isSafeInteger(size) || (size as number) < 0) throw badImage(`its ${what} has no size`);
  return {
    mediaType: fields.mediaType === undefined ? "" : textOf(fields.mediaType, `${what}.mediaType`),
    digest: digestOf(fields.digest, `${what}.digest`),
    bytes: size as number,
    fields,
  };
}
