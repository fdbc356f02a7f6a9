import type { Readable, Writable } from "node:stream";
import { PlyboxError } from "../../model/errors.ts";
import type { EventBody } from "../../model/event.ts";
import type { FileChange, FileStatus, FoundFile, ListedFile, OpenedFile, PathText } from "../../model/file.ts";
import { shownPath } from "../../model/file.ts";
import type { DownloadReaders, FileDownload } from "../../wire/file-download.ts";
import { fileLines } from "../../wire/file-lines.ts";
import type { FileMessage, FileRequest } from "../../wire/file-messages.ts";
import {
  readBytes,
  readChange,
  readChanged,
  readCreated,
  readEntries,
  readFound,
  readListEnd,
  readListed,
  readOpened,
  readRemoved,
  readSearchEnd,
  readStat,
  readWritten,
} from "../../wire/file-messages.ts";
import type { FileUpload } from "../../wire/file-upload.ts";
import { readEmpty } from "../../wire/messages.ts";
import { ProtocolViolation } from "../../wire/protocol-violation.ts";
import type { Reader } from "../../wire/strict-reader.ts";
import type { ActiveAgent, Agents } from "../agents.ts";

/** A stream of results, in batches as they come; `end` tells of them when all have been taken. */
export interface FileLines<T, End> extends AsyncIterable<readonly T[]> {
  /** Undefined before the iteration is over. */
  readonly end: End | undefined;
}

export type Written = { readonly bytes: number; readonly etag: string };
export type ListEnd = { readonly entries: number; readonly more: boolean };
export type SearchEnd = { readonly matches: number; readonly more: boolean; readonly files: number };

/**
 * The files of sandboxes. Every operation has a connection of its own, which ends with it; an abort ends both. Whoever
 * gets a stream reads or writes it to its end, or destroys it. Throws `file/…` beside what `Agents` does.
 */
export class SandboxFiles {
  readonly #agents: Agents;

  constructor(agents: Agents) {
    this.#agents = agents;
  }

  stat(ref: string, request: FileRequest<"stat">, signal?: AbortSignal): Promise<FileStatus> {
    return this.#ask(ref, { type: "file", op: "stat", ...request }, readStat, signal);
  }

  /** `ack` of the stream says what was opened. */
  read(
    ref: string,
    request: FileRequest<"read">,
    signal?: AbortSignal,
  ): Promise<FileDownload<OpenedFile, { readonly bytes: number }>> {
    const readers = { ack: readOpened, report: readBytes, check: checkRead, isUndecided: true };
    return this.#download(ref, { type: "file", op: "read", ...request }, readers, signal);
  }

  async write(ref: string, request: FileRequest<"write">, signal?: AbortSignal): Promise<FileUpload<Written>> {
    const check = (sent: number, { bytes }: Written): boolean => bytes === sent;
    const message: FileMessage = { type: "file", op: "write", ...request };
    const upload = await this.#upload(ref, message, { report: readWritten, check }, signal);
    this.#announceWith(upload.report, ref, "written", request.path);
    return upload;
  }

  list(ref: string, request: FileRequest<"list">, signal?: AbortSignal): Promise<FileLines<ListedFile, ListEnd>> {
    return this.#lines(ref, { type: "file", op: "list", ...request }, { line: readListed, end: readListEnd }, signal);
  }

  search(ref: string, request: FileRequest<"search">, signal?: AbortSignal): Promise<FileLines<FoundFile, SearchEnd>> {
    return this.#lines(
      ref,
      { type: "file", op: "search", ...request },
      { line: readFound, end: readSearchEnd },
      signal,
    );
  }

  /** Resolves when nothing is missed any more. */
  watch(ref: string, request: FileRequest<"watch">, signal?: AbortSignal): Promise<FileLines<FileChange, object>> {
    return this.#lines(ref, { type: "file", op: "watch", ...request }, { line: readChange, end: readEmpty }, signal);
  }

  async mkdir(ref: string, request: FileRequest<"mkdir">): Promise<{ readonly created: boolean }> {
    const result = await this.#ask(ref, { type: "file", op: "mkdir", ...request }, readCreated);
    if (result.created) this.#announce(ref, "written", request.path);
    return result;
  }

  async move(ref: string, request: FileRequest<"move">): Promise<void> {
    await this.#ask(ref, { type: "file", op: "move", ...request }, readEmpty);
    this.#announce(ref, "moved", request.to);
  }

  async remove(ref: string, request: FileRequest<"remove">): Promise<{ readonly removed: number }> {
    const result = await this.#ask(ref, { type: "file", op: "remove", ...request }, readRemoved);
    if (result.removed > 0) this.#announce(ref, "removed", request.path);
    return result;
  }

  chmod(ref: string, request: FileRequest<"chmod">): Promise<{ readonly changed: number }> {
    return this.#ask(ref, { type: "file", op: "chmod", ...request }, readChanged);
  }

  chown(ref: string, request: FileRequest<"chown">): Promise<{ readonly changed: number }> {
    return this.#ask(ref, { type: "file", op: "chown", ...request }, readChanged);
  }

  async symlink(ref: string, request: FileRequest<"symlink">): Promise<void> {
    await this.#ask(ref, { type: "file", op: "symlink", ...request }, readEmpty);
    this.#announce(ref, "written", request.path);
  }

  /** A POSIX archive of what is at the path. */
  tarOut(
    ref: string,
    request: FileRequest<"tar-out">,
    signal?: AbortSignal,
  ): Promise<FileDownload<object, { readonly entries: number }>> {
    const message: FileMessage = { type: "file", op: "tar-out", ...request };
    return this.#download(ref, message, { ack: readEmpty, report: readEntries }, signal);
  }

  /** Unpacks what is written. */
  async tarIn(
    ref: string,
    request: FileRequest<"tar-in">,
    signal?: AbortSignal,
  ): Promise<FileUpload<{ readonly entries: number }>> {
    const upload = await this.#upload(ref, { type: "file", op: "tar-in", ...request }, { report: readEntries }, signal);
    this.#announceWith(upload.report, ref, "written", request.path);
    return upload;
  }

  async #ask<T>(ref: string, message: FileMessage, read: Reader<T>, signal?: AbortSignal): Promise<T> {
    const { agent, activity } = await this.#agents.fileAgent(ref, VERBS[message.op]);
    const release = activity.hold();
    try {
      return await agent.file(message, read, signal);
    } finally {
      agent.close();
      release();
    }
  }

  /** Opens a stream on a connection of its own; both end together, and the sandbox is not idle until then. */
  async #open<S extends Readable | Writable>(
    ref: string,
    verb: string,
    open: (agent: ActiveAgent["agent"]) => Promise<S>,
    signal: AbortSignal | undefined,
  ): Promise<S> {
    const { agent, activity } = await this.#agents.fileAgent(ref, verb);
    const release = activity.hold();
    const end = (): void => {
      agent.close();
      release();
    };
    try {
      const stream = await open(agent);
      const abort = (): void => void stream.destroy(new PlyboxError("aborted", "the transfer was given up"));
      signal?.addEventListener("abort", abort, { once: true });
      const closed = (): void => {
        signal?.removeEventListener("abort", abort);
        end();
      };
      // It may have failed by now.
      if (stream.closed) closed();
      else stream.once("close", closed);
      if (signal?.aborted === true) abort();
      return stream;
    } catch (error) {
      end();
      throw error;
    }
  }

  #download<Ack, Report>(
    ref: string,
    message: FileMessage,
    readers: DownloadReaders<Ack, Report>,
    signal?: AbortSignal,
  ): Promise<FileDownload<Ack, Report>> {
    return this.#open(ref, VERBS[message.op], (agent) => agent.download(message, readers, signal), signal);
  }

  #upload<Report>(
    ref: string,
    message: FileMessage,
    readers: Parameters<typeof FileUpload.open<Report>>[2],
    signal?: AbortSignal,
  ): Promise<FileUpload<Report>> {
    return this.#open(ref, VERBS[message.op], (agent) => agent.upload(message, readers, signal), signal);
  }

  async #lines<T, End>(
    ref: string,
    message: FileMessage,
    { line: read, end: report }: { readonly line: Reader<T>; readonly end: Reader<End> },
    signal?: AbortSignal,
  ): Promise<FileLines<T, End>> {
    const stream = await this.#download(ref, message, { ack: readEmpty, report }, signal);
    return {
      get end() {
        return stream.report;
      },
      async *[Symbol.asyncIterator]() {
        try {
          yield* fileLines(stream, read);
        } catch (cause) {
          if (!(cause instanceof ProtocolViolation)) throw cause;
          stream.destroy(cause);
          throw new PlyboxError("agent/protocol", `the agent broke the protocol: ${cause.message}`, { cause });
        } finally {
          stream.destroy();
        }
      },
    };
  }

  #announce(ref: string, change: Change, path: PathText): void {
    this.#agents.announce(ref, { type: "file.changed", change, path: shownPath(path) });
  }

  #announceWith(done: Promise<unknown>, ref: string, change: Change, path: PathText): void {
    // Where it fails nothing has changed, and whoever writes is told; a sandbox that is gone by now tells of that itself.
    done.then(() => this.#announce(ref, change, path)).catch(() => {});
  }
}

type Change = Extract<EventBody, { type: "file.changed" }>["change"];

/** What is to be done, for the message of an error. */
const VERBS: Readonly<Record<FileMessage["op"], string>> = {
  stat: "look at a file",
  read: "read a file",
  write: "write a file",
  list: "list files",
  mkdir: "make a directory",
  move: "move a file",
  remove: "remove a file",
  chmod: "change the mode of a file",
  chown: "change the owner of a file",
  symlink: "make a symbolic link",
  search: "search files",
  watch: "watch files",
  "tar-out": "archive files",
  "tar-in": "unpack an archive",
};

/** Never more than was announced, and in the end what the report says; files of /proc announce no size. */
function checkRead(
  received: number,
  { entry, from, to }: OpenedFile,
  report: { readonly bytes: number } | undefined,
): PlyboxError | undefined {
  const isSized = entry.size > 0;
  if ((isSized && received > to - from) || (report !== undefined && report.bytes !== received)) {
    throw new ProtocolViolation("sequence", `${received} bytes are not what it announced`);
  }
  if (report === undefined || !isSized || received === to - from) return undefined;
  return new PlyboxError("file/changed", "the file became shorter while it was read");
}
