import { isUtf8 } from "node:buffer";
import { PlyboxError } from "../model/errors.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

/** What `length` may say: it counts kind, channel and payload. */
export const MIN_LENGTH = 5;
export const MAX_LENGTH = 1_048_576;

const KINDS = ["hello", "open", "ack", "data", "end", "credit", "exit", "error", "close", "lost", "progress"] as const;
const LENGTH_BYTES = 4;
const HEADER_BYTES = LENGTH_BYTES + MIN_LENGTH;
const DATA_HEADER_BYTES = 9;
const TWO_32 = 2 ** 32;

export type FrameKind = (typeof KINDS)[number];
export type JsonObject = Readonly<Record<string, unknown>>;

type JsonFrame<Kind> = { readonly kind: Kind; readonly channel: number; readonly json: JsonObject };
/** `bytes` of a decoded frame may share memory with the chunk that it came in. */
export type DataFrame = {
  readonly kind: "data";
  readonly channel: number;
  readonly stream: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
};
/** One frame of docs/protocol.md §1. Offsets are safe integers, streams 0 to 2. */
export type Frame =
  | JsonFrame<"hello">
  | JsonFrame<"open">
  | JsonFrame<"ack">
  | JsonFrame<"exit">
  | JsonFrame<"error">
  | JsonFrame<"progress">
  | DataFrame
  | { readonly kind: "end"; readonly channel: number; readonly stream: number; readonly offset: number }
  | { readonly kind: "credit"; readonly channel: number; readonly bytes: number }
  | { readonly kind: "close"; readonly channel: number }
  | {
      readonly kind: "lost";
      readonly channel: number;
      readonly stream: number;
      readonly from: number;
      readonly to: number;
    };

/**
 * The frame's bytes, none shared with it.
 * @throws PlyboxError `input/too-large` when it exceeds the 1 MiB of a frame
 */
export function encodeFrame(frame: Frame): Buffer {
  switch (frame.kind) {
    case "data": {
      const buffer = begin(frame, DATA_HEADER_BYTES + frame.bytes.length);
      writePosition(buffer, frame.stream, frame.offset);
      buffer.set(frame.bytes, HEADER_BYTES + DATA_HEADER_BYTES);
      return buffer;
    }
    case "end": {
      const buffer = begin(frame, DATA_HEADER_BYTES);
      writePosition(buffer, frame.stream, frame.offset);
      return buffer;
    }
    case "lost": {
      const buffer = begin(frame, DATA_HEADER_BYTES + 8);
      writePosition(buffer, frame.stream, frame.from);
      writeOffset(buffer, frame.to, HEADER_BYTES + DATA_HEADER_BYTES);
      return buffer;
    }
    case "credit": {
      const buffer = begin(frame, 4);
      buffer.writeUInt32LE(frame.bytes, HEADER_BYTES);
      return buffer;
    }
    case "close":
      return begin(frame, 0);
    default: {
      const text = JSON.stringify(frame.json);
      const buffer = begin(frame, Buffer.byteLength(text));
      buffer.write(text, HEADER_BYTES);
      return buffer;
    }
  }
}

/** What stands before the bytes of a data frame, which are written behind it and not to be changed until then. */
export function encodeDataHead({ channel, stream, offset }: Omit<DataFrame, "kind" | "bytes">, bytes: number): Buffer {
  const length = MIN_LENGTH + DATA_HEADER_BYTES + bytes;
  if (length > MAX_LENGTH) throw new PlyboxError("input/too-large", `data exceeds ${MAX_LENGTH} bytes`);
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + DATA_HEADER_BYTES);
  buffer.writeUInt32LE(length, 0);
  buffer.writeUInt8(KINDS.indexOf("data") + 1, LENGTH_BYTES);
  buffer.writeUInt32LE(channel, LENGTH_BYTES + 1);
  writePosition(buffer, stream, offset);
  return buffer;
}

/**
 * The frame in `buffer` from `start` to `end`, the length field being already checked and left out.
 * @throws ProtocolViolation `payload`
 */
export function parseFrame(buffer: Buffer, start: number, end: number): Frame {
  const kind = kindOf(buffer[start]);
  const channel = buffer.readUInt32LE(start + 1);
  const at = start + MIN_LENGTH;
  switch (kind) {
    case "data": {
      need(kind, end - at >= DATA_HEADER_BYTES);
      const offset = readOffset(buffer, at + 1);
      const bytes = buffer.subarray(at + DATA_HEADER_BYTES, end);
      if (offset + bytes.length > Number.MAX_SAFE_INTEGER) throw badPayload(kind, "its offset is out of range");
      return { kind, channel, stream: readStream(buffer, at), offset, bytes };
    }
    case "end":
      need(kind, end - at === DATA_HEADER_BYTES);
      return { kind, channel, stream: readStream(buffer, at), offset: readOffset(buffer, at + 1) };
    case "lost": {
      need(kind, end - at === DATA_HEADER_BYTES + 8);
      const from = readOffset(buffer, at + 1);
      const to = readOffset(buffer, at + DATA_HEADER_BYTES);
      if (to < from) throw badPayload(kind, "it ends before it begins");
      return { kind, channel, stream: readStream(buffer, at), from, to };
    }
    case "credit":
      need(kind, end - at === 4);
      return { kind, channel, bytes: buffer.readUInt32LE(at) };
    case "close":
      need(kind, end === at);
      return { kind, channel };
    default:
      return { kind, channel, json: readJson(kind, buffer.subarray(at, end)) };
  }
}

/** @throws ProtocolViolation `kind` */
export function kindOf(byte: number | undefined): FrameKind {
  const kind = byte === undefined || byte === 0 ? undefined : KINDS[byte - 1];
  if (kind === undefined) throw new ProtocolViolation("kind", `no frame kind ${byte}`);
  return kind;
}

function begin(frame: Frame, payloadBytes: number): Buffer {
  const length = MIN_LENGTH + payloadBytes;
  if (length > MAX_LENGTH) throw new PlyboxError("input/too-large", `${frame.kind} exceeds ${MAX_LENGTH} bytes`);
  const buffer = Buffer.allocUnsafe(LENGTH_BYTES + length);
  buffer.writeUInt32LE(length, 0);
  buffer.writeUInt8(KINDS.indexOf(frame.kind) + 1, LENGTH_BYTES);
  buffer.writeUInt32LE(frame.channel, LENGTH_BYTES + 1);
  return buffer;
}

function writePosition(buffer: Buffer, stream: number, offset: number): void {
  buffer.writeUInt8(stream, HEADER_BYTES);
  writeOffset(buffer, offset, HEADER_BYTES + 1);
}

function writeOffset(buffer: Buffer, offset: number, at: number): void {
  buffer.writeUInt32LE(offset % TWO_32, at);
  buffer.writeUInt32LE(Math.floor(offset / TWO_32), at + 4);
}

function readOffset(buffer: Buffer, at: number): number {
  const offset = buffer.readUInt32LE(at) + buffer.readUInt32LE(at + 4) * TWO_32;
  if (!Number.isSafeInteger(offset)) throw new ProtocolViolation("payload", "an offset is out of range");
  return offset;
}

function readStream(buffer: Buffer, at: number): number {
  const stream = buffer.readUInt8(at);
  if (stream > 2) throw new ProtocolViolation("payload", `no stream ${stream}`);
  return stream;
}

function readJson(kind: FrameKind, payload: Buffer): JsonObject {
  if (!isUtf8(payload)) throw badPayload(kind, "it is no JSON");
  let value: unknown;
  try {
    // A byte order mark stays, and is refused here.
    value = JSON.parse(payload.toString());
  } catch {
    throw badPayload(kind, "it is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw badPayload(kind, "it is no object");
  return value as JsonObject;
}

function need(kind: FrameKind, fits: boolean): void {
  if (!fits) throw badPayload(kind, "its size is wrong");
}

function badPayload(kind: FrameKind, why: string): ProtocolViolation {
  return new ProtocolViolation("payload", `the payload of ${kind} is refused: ${why}`);
}
