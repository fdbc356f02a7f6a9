import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import type { ErrorCode } from "../../model/errors.ts";
import { PlyboxError } from "../../model/errors.ts";
import { nativeProgram } from "../../native/programs.ts";
import { AnswerFields, shownPath } from "./entry.ts";
import { Tree } from "./tree.ts";
import type { Field, TreeRequests } from "./tree-request.ts";
import { encodeRequest, OPERATIONS } from "./tree-request.ts";

/** Whose extended attributes hold overlayfs's marks: the machine's root's, or, rootless, those of users. */
export type Marks = "trusted" | "user";

export interface OverlayPaths {
  /** Absolute, the lowest first; at most 80. */
  readonly layers: readonly string[];
  /** Where changes go, with a work directory for overlayfs on the same file system; without, nothing can be changed. */
  readonly changes?: { readonly upper: string; readonly work: string };
}

/** Their names by number; Node's own table lacks what only Linux has. */
const ERRNOS: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
  [117, "EUCLEAN"],
]);

const CODES: Readonly<Record<string, ErrorCode>> = {
  ...{ ENOENT: "file/not-found", ENOSPC: "file/no-space", EDQUOT: "file/no-space", EEXIST: "file/exists" },
  ...{ ENOTDIR: "file/not-a-directory", EISDIR: "file/is-a-directory" },
  ...{ E2BIG: "layer/too-large", EFBIG: "layer/too-large", ENAMETOOLONG: "layer/too-large" },
  ...{ EIO: "layer/corrupt", EUCLEAN: "layer/corrupt" },
};

/**
 * plytree, which reads and changes trees by descriptors: see native/tree/main.cpp. It works on one request after the
 * other, in the order in which they are made, so whoever changes a tree need not wait for one to ask for the next.
 */
export class TreeProgram implements AsyncDisposable, TreeRequests {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #closed: Promise<unknown>;
  readonly #waiting: { resolve(answer: AnswerFields): void; reject(error: Error): void; what: string }[] = [];
  readonly #trees = new Map<string, Promise<Tree>>();
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #end: Error | undefined;

  /** @throws PlyboxError `host/missing` when plytree is not built */
  constructor(marks: Marks = "trusted") {
    const args = marks === "user" ? ["--user-marks"] : [];
    this.#child = spawn(nativeProgram("plytree"), args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#closed = once(this.#child, "close").catch(() => {});
    this.#child.stdout.on("data", (chunk: Buffer) => this.#receive(chunk));
    // That it takes no more shows in its end.
    this.#child.stdin.on("error", () => {});
    this.#child.once("error", (error) => this.#fail(error));
    this.#child.once("close", () => this.#fail(new Error("plytree has ended")));
  }

  /** The tree of a directory; the same one for the same path. */
  open(path: string): Promise<Tree> {
    const known = this.#trees.get(path) ?? this.#root(OPERATIONS.open, [toBytes(path)], path);
    this.#trees.set(path, known);
    known.catch(() => this.#trees.delete(path));
    return known;
  }

  /** The tree that overlayfs makes of layers, as long as this program lives. */
  overlay({ layers, changes }: OverlayPaths): Promise<Tree> {
    const paths = [changes?.upper ?? "", changes?.work ?? ""].map(toBytes);
    return this.#root(OPERATIONS.overlay, [...paths, layers.length, ...layers.map(toBytes)], "an overlay");
  }

  ask(operation: number, fields: readonly Field[], what: string): Promise<AnswerFields> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end);
      this.#waiting.push({ resolve, reject, what });
      this.#child.stdin.write(encodeRequest(operation, fields));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    await this.#closed;
  }

  async #root(operation: number, fields: readonly Field[], what: string): Promise<Tree> {
    return new Tree(this, (await this.ask(operation, fields, what)).u32());
  }

  #receive(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    let bytes: Buffer | undefined;
    for (let length = this.#awaited(); this.#receivedBytes >= length; length = this.#awaited()) {
      bytes = this.#received.length === 1 ? (this.#received[0] as Buffer) : Buffer.concat(this.#received);
      this.#received = [bytes.subarray(length)];
      this.#receivedBytes -= length;
      this.#answer(bytes.subarray(4, length));
    }
  }

  /** Bytes of the next answer with its length. */
  #awaited(): number {
    if (this.#receivedBytes < 4) return Number.POSITIVE_INFINITY;
    if ((this.#received[0] as Buffer).length < 4) this.#received = [Buffer.concat(this.#received)];
    return 4 + (this.#received[0] as Buffer).readUInt32LE(0);
  }

  #answer(bytes: Buffer): void {
    const asked = this.#waiting.shift();
    const fields = new AnswerFields(bytes.subarray(1));
    if (bytes[0] === 0) asked?.resolve(fields);
    else asked?.reject(failureOf(fields.u32(), fields.text(), asked.what));
  }

  #fail(error: Error): void {
    this.#end ??= new PlyboxError("internal", error.message, { cause: error });
    for (const { reject } of this.#waiting.splice(0)) reject(this.#end);
  }
}

/** A path of this machine's as it is sent. */
const toBytes = (path: string): string => Buffer.from(path).toString("latin1");

function failureOf(number: number, step: string, what: string): PlyboxError {
  const errno = ERRNOS.get(number) ?? `errno ${number}`;
  return new PlyboxError(CODES[errno] ?? "file/failed", `${shownPath(what)}: ${step} failed with ${errno}`, {
    step,
    errno,
  });
}
