import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Frame, FrameKind } from "../../src/wire/frame.ts";
import { encodeFrame } from "../../src/wire/frame.ts";

const BUILD = join(import.meta.dirname, "../../build");
const KINDS: readonly FrameKind[] = ["hello", "open"];

/** Compiles hostile-agent.c, with the real agent in it, into a directory; answers the program's path. */
export function buildHostileAgent(directory: string): string {
  const program = join(directory, "hostile-agent");
  const agent = `-DAGENT="${join(BUILD, "plyagent")}"`;
  execFileSync("gcc", ["-static", "-O1", agent, join(import.meta.dirname, "hostile-agent.c"), "-o", program]);
  return program;
}

/** What a hostile agent does on each of its connections, step by step; then it is silent. */
export class Script {
  #hex = "";

  /** The environment of a sandbox whose agent does this. */
  get env(): { readonly HOSTILE: string } {
    return { HOSTILE: this.#hex };
  }

  hello(): this {
    return this.#step("h");
  }

  send(...what: readonly (Frame | Uint8Array)[]): this {
    const bytes = bytesOf(what);
    return this.#step("s", bytes.length, bytes);
  }

  repeat(times: number, ...what: readonly (Frame | Uint8Array)[]): this {
    const bytes = bytesOf(what);
    return this.#step("r", times, bytes.length, bytes);
  }

  forever(...what: readonly (Frame | Uint8Array)[]): this {
    return this.repeat(0, ...what);
  }

  /** Waits for a frame of the host's. */
  await(kind: FrameKind): this {
    return this.#step("w", Uint8Array.of(KINDS.indexOf(kind) + 1));
  }

  hangUp(): this {
    return this.#step("c");
  }

  end(): this {
    return this.#step("e");
  }

  #step(name: string, ...parts: readonly (number | Uint8Array)[]): this {
    const bytes = parts.map((part) => (typeof part === "number" ? uint32(part) : part));
    this.#hex += Buffer.concat([Buffer.from(name), ...bytes]).toString("hex");
    return this;
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

const bytesOf = (what: readonly (Frame | Uint8Array)[]): Buffer =>
  Buffer.concat(what.map((each) => (each instanceof Uint8Array ? each : encodeFrame(each))));

/** The head of a frame, whatever it says; what it announces need not follow. */
export function frameHead(length: number, kind: number, channel: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt8(kind, 4);
  bytes.writeUInt32LE(channel, 5);
  return bytes;
}

/** A frame of JSON text as it stands. */
export const rawJson = (kind: number, channel: number, json: string): Buffer =>
  Buffer.concat([frameHead(5 + Buffer.byteLength(json), kind, channel), Buffer.from(json)]);
