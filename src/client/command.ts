import type { ErrorBody, ExecEventViews, SignalBody } from "../api/contract.ts";
import type { OutputStream, SignalScope } from "../model/exec.ts";
import { untilAborted } from "./abort.ts";
import { decodeBase64 } from "./base64.ts";
import type { CallOptions, Connection } from "./connection.ts";
import { PlyboxApiError, unreachable } from "./plybox-api-error.ts";
import { isPassing, untilAnswered } from "./retry.ts";
import type { ServerSentEvent } from "./server-sent-events.ts";

/** How a command ended: `exitCode` or `signal`, the limit that ended it if one did, and what it used. */
export type ExitReport = ExecEventViews["exit"];

/** What a command's stream carries, in order; `exit` is last. Offsets are bytes of the stream since the start. */
export type CommandEvent =
  | { readonly kind: "output"; readonly stream: OutputStream; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly stream: OutputStream; readonly offset: number }
  /** Bytes `[from, to)` of the stream are no longer kept. */
  | { readonly kind: "lost"; readonly stream: OutputStream; readonly from: number; readonly to: number }
  | { readonly kind: "exit"; readonly report: ExitReport };

/** The request that opens a command's stream. */
export interface CommandRequest {
  readonly connection: Connection;
  /** Path of the sandbox, such as `/v1/sandboxes/web`. */
  readonly sandboxPath: string;
  readonly method: "GET" | "POST";
  /** Below the sandbox, such as `/exec`. */
  readonly path: string;
  readonly body?: object;
  /** Where the streams begin. */
  readonly from: Offsets;
  readonly signal: AbortSignal | undefined;
  /** What an abort means for the command. */
  readonly onAbort: "kill" | "close";
  /** Makes a repetition of the request mean the same command. */
  readonly idempotencyKey?: string | undefined;
  /** For how long a daemon that went away is looked for, in milliseconds. */
  readonly reconnectMs: number;
  /** Whether it is followed beside others, in nobody's place. */
  readonly shared?: boolean;
}

export interface Offsets {
  readonly stdout: number;
  readonly stderr: number;
}

/** Ends the stream quietly, unlike a caller's abort. */
const CLOSED = new Error("closed");

/**
 * A running command. Iterate over it for its events, once; a slow iteration holds back the command's output and not
 * this process's memory. The command does not depend on it: `close` only stops listening.
 */
export class Command implements AsyncIterable<CommandEvent>, AsyncDisposable {
  readonly exec: string;
  /** The pid inside the sandbox. */
  readonly pid: number;
  readonly #connection: Connection;
  readonly #path: string;
  readonly #stream: AbortController;
  readonly #events: AsyncGenerator<CommandEvent, void, undefined>;
  readonly #offsets: { stdout: number; stderr: number };
  readonly #reconnectMs: number;
  readonly #isShared: boolean;
  /** Streams whose end has been told: who listens again is told of it again. */
  readonly #ended = new Set<OutputStream>();
  #report: ExitReport | undefined;
  #exit: Promise<ExitReport> | undefined;
  #input: Promise<void> = Promise.resolve();

  /** Resolves when the command runs and its stream is open. */
  static async open(request: CommandRequest): Promise<Command> {
    const { signal, onAbort } = request;
    signal?.throwIfAborted();
    const opening = Command.#open(request);
    if (signal === undefined) return await opening;
    const abandon = (command: Command): void => {
      if (onAbort === "kill") command.kill("SIGKILL", { scope: "all" }).catch(() => {}); // Nobody is left to tell.
      command.#stream.abort(signal.reason);
    };
    try {
      const command = await untilAborted(signal, opening);
      const listener = (): void => abandon(command);
      signal.addEventListener("abort", listener, { once: true });
      command.#stream.signal.addEventListener("abort", () => signal.removeEventListener("abort", listener));
      return command;
    } catch (error) {
      // A command that starts after the abort is ended all the same.
      if (signal.aborted) opening.then(abandon, () => {});
      throw error;
    }
  }

  static async #open(request: CommandRequest): Promise<Command> {
    const stream = new AbortController();
    // Without a key, whether the command was started would not be known.
    const mayRepeat = request.method === "GET" || request.idempotencyKey !== undefined;
    const open = (): Promise<Opened> => openStream(request, stream.signal);
    const { started, frames } = await untilAnswered(open, mayRepeat ? request.reconnectMs : 0, request.signal);
    return new Command(request, started, stream, frames);
  }

  private constructor(
    { connection, sandboxPath, from, reconnectMs, shared = false }: CommandRequest,
    { exec, pid }: ExecEventViews["started"],
    stream: AbortController,
    frames: AsyncGenerator<ServerSentEvent>,
  ) {
    this.exec = exec;
    this.pid = pid;
    this.#connection = connection;
    this.#path = `${sandboxPath}/execs/${exec}`;
    this.#stream = stream;
    this.#reconnectMs = reconnectMs;
    this.#isShared = shared;
    this.#offsets = { stdout: from.stdout, stderr: from.stderr };
    this.#events = this.#read(frames);
  }

  /** Where each stream goes on after the last event that was taken: what `attach` needs to miss nothing. */
  get offsets(): Offsets {
    return { ...this.#offsets };
  }

  /** The end of the command. Asking for it takes, and drops, every event that no iteration has taken. */
  get exit(): Promise<ExitReport> {
    this.#exit ??= this.#drain();
    return this.#exit;
  }

  /** Leaving a loop early keeps the remaining events for the next one, or for `exit`. */
  [Symbol.asyncIterator](): AsyncIterator<CommandEvent> {
    return { next: () => this.#events.next() };
  }

  /** Sends to stdin, after what was sent before; resolves when the command's side has taken it. Needs `stdin: true`. */
  write(chunk: string | Uint8Array, options?: CallOptions): Promise<void> {
    const bytes = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
    return this.#feed(() => this.#connection.bytes(`${this.#path}/stdin`, bytes, options));
  }

  /** Closes stdin, after what was sent before. */
  end(options?: CallOptions): Promise<void> {
    return this.#feed(() => this.#connection.bytes(`${this.#path}/stdin?end=true`, new Uint8Array(0), options));
  }

  /** Sends a signal to the command's process group by default. Harmless after the end. */
  async kill(signal = "SIGTERM", options: CallOptions & { readonly scope?: SignalScope } = {}): Promise<void> {
    const { scope, ...call } = options;
    const body: SignalBody = { signal, ...(scope !== undefined && { scope }) };
    await this.#connection.json("POST", `${this.#path}/signal`, body, call);
  }

  /** Stops listening; the command goes on. Idempotent. */
  close(): void {
    this.#stream.abort(CLOSED);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #feed(send: () => Promise<void>): Promise<void> {
    const sent = this.#input.then(send);
    this.#input = sent.catch(() => {}); // Its caller hears of it; what comes later is tried all the same.
    return sent;
  }

  async #drain(): Promise<ExitReport> {
    while (!(await this.#events.next()).done);
    if (this.#report === undefined) throw unreachable("the command is no longer listened to");
    return this.#report;
  }

  async *#read(first: AsyncGenerator<ServerSentEvent>): AsyncGenerator<CommandEvent, void, undefined> {
    let frames = first;
    try {
      for (;;) {
        try {
          yield* this.#readStream(frames);
          return;
        } catch (error) {
          if (this.#stream.signal.aborted || !isPassing(error) || this.#reconnectMs === 0) throw error;
        }
        frames = await this.#listenAgain();
      }
    } catch (error) {
      if (error !== CLOSED && this.#stream.signal.reason !== CLOSED) throw error;
    } finally {
      this.close();
    }
  }

  async *#readStream(frames: AsyncGenerator<ServerSentEvent>): AsyncGenerator<CommandEvent, void, undefined> {
    for await (const { event, data } of frames) {
      const parsed = eventOf(event, data);
      if (parsed === undefined || (parsed.kind === "end" && this.#ended.has(parsed.stream))) continue;
      this.#note(parsed);
      yield parsed;
      if (parsed.kind === "exit") return;
    }
    throw unreachable("the command's stream broke off");
  }

  /** From where this one is: what is gone by then comes as `lost`. */
  async #listenAgain(): Promise<AsyncGenerator<ServerSentEvent>> {
    const { signal } = this.#stream;
    const open = async (): Promise<AsyncGenerator<ServerSentEvent>> => {
      const path = this.#path + outputPath(this.#offsets, { shared: this.#isShared });
      return (await openStream({ connection: this.#connection, sandboxPath: "", method: "GET", path }, signal)).frames;
    };
    return await untilAnswered(open, this.#reconnectMs, signal);
  }

  #note(event: CommandEvent): void {
    if (event.kind === "output") this.#offsets[event.stream] = event.offset + event.bytes.length;
    else if (event.kind === "lost") this.#offsets[event.stream] = event.to;
    else if (event.kind === "end") this.#ended.add(event.stream);
    else if (event.kind === "exit") this.#report = event.report;
  }
}

interface Opened {
  readonly started: ExecEventViews["started"];
  readonly frames: AsyncGenerator<ServerSentEvent>;
}

/** Below a command, where its events are read from. */
export function outputPath(from: Offsets, how: { readonly shared?: boolean; readonly follow?: boolean }): string {
  const { shared = false, follow = true } = how;
  return `/output?stdout=${from.stdout}&stderr=${from.stderr}${shared ? "&shared=true" : ""}${follow ? "" : "&follow=false"}`;
}

type StreamRequest = Pick<CommandRequest, "connection" | "sandboxPath" | "method" | "path" | "body" | "idempotencyKey">;

export async function openStream(request: StreamRequest, signal: AbortSignal): Promise<Opened> {
  const { connection, sandboxPath, method, path, body, idempotencyKey } = request;
  const frames = await connection.events(method, sandboxPath + path, body, { signal, idempotencyKey });
  const first = await frames.next();
  if (first.done === true || first.value.event !== "started") throw unreachable("the command's stream began wrongly");
  return { started: JSON.parse(first.value.data) as ExecEventViews["started"], frames };
}

/** Undefined for `reached`, and for an event that a newer daemon sends. */
export function eventOf(event: string, data: string): CommandEvent | undefined {
  const view: unknown = JSON.parse(data);
  switch (event) {
    case "output": {
      const { stream, offset, base64 } = view as ExecEventViews["output"];
      return { kind: "output", stream, offset, bytes: decodeBase64(base64) };
    }
    case "end":
      return { kind: "end", ...(view as ExecEventViews["end"]) };
    case "lost":
      return { kind: "lost", ...(view as ExecEventViews["lost"]) };
    case "exit":
      return { kind: "exit", report: view as ExitReport };
    case "error":
      throw new PlyboxApiError(view as ErrorBody["error"], 0);
    default:
      return undefined;
  }
}
