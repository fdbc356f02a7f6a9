import type { Duplex } from "node:stream";
import { throwIfAborted, watchAbort } from "../base/abort.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import type {
  ExecFeed,
  ExecReport,
  ExecRequest,
  ExecSession,
  ExecSummary,
  OutputOffsets,
  OutputReading,
  ReadOptions,
  SignalScope,
} from "../model/exec.ts";
import type { ExecId, SandboxId } from "../model/ids.ts";
import type { DialTarget, ListeningPort } from "../model/port.ts";
import type { ProcessesView } from "../model/usage.ts";
import type { AgentUsage, PlainRequest, WaitRequest } from "./agent-messages.ts";
import { execMessage, readExecList, readExecReport, readPorts, readProcesses, readUsage } from "./agent-messages.ts";
import { DialStream } from "./dial-stream.ts";
import { ExecChannel } from "./exec-channel.ts";
import type { DownloadReaders } from "./file-download.ts";
import { FileDownload } from "./file-download.ts";
import type { FileMessage } from "./file-messages.ts";
import type { UploadReaders } from "./file-upload.ts";
import { FileUpload } from "./file-upload.ts";
import { InputChannel } from "./input-channel.ts";
import { Link, unexpected } from "./link.ts";
import type { PeerHello } from "./messages.ts";
import { readEmpty } from "./messages.ts";
import { fileError } from "./peer-errors.ts";
import { ReadChannel } from "./read-channel.ts";
import { ReceiveMemory } from "./receive-memory.ts";
import type { Reader } from "./strict-reader.ts";

/** What an agent that works never takes, however busy the machine is: its answers wait for nothing. */
const PATIENCE_MS = 30_000;

export interface AgentLinkOptions {
  /** What the stream's data comes in, where it is used again; such a connection is for files alone. */
  readonly memory?: ReceiveMemory | undefined;
  /** How long the agent may take to say hello, and to answer what it can answer at once; 30 s by default. */
  readonly patienceMs?: number | undefined;
}

/**
 * What a sandbox's agent can be asked over one connection. Requests may be made at once; nothing waits for the
 * agent's hello. Every method throws PlyboxError: the agent's refusal (`exec/…`), `agent/protocol` when the agent
 * broke the protocol, `agent/unreachable` when the connection ended; or the reason of the caller's signal.
 */
export class AgentLink implements Disposable {
  readonly #link: Link;
  readonly #memory: ReceiveMemory | undefined;
  readonly #patienceMs: number;

  /** Owns `stream`, which leads to the agent of this incarnation of the sandbox or is refused. */
  constructor(stream: Duplex, sandbox: SandboxId, incarnation: number, options: AgentLinkOptions = {}) {
    const { memory, patienceMs = PATIENCE_MS } = options;
    this.#memory = memory;
    this.#patienceMs = patienceMs;
    this.#link = new Link({ input: stream, output: stream, peer: "agent", sandbox, incarnation, patienceMs });
  }

  /** Resolves when the agent has answered. */
  get hello(): Promise<PeerHello> {
    return this.#link.hello;
  }

  /** Resolves with the reason when the connection has ended. */
  get ended(): Promise<PlyboxError> {
    return this.#link.ended;
  }

  /** Resolves when the program runs. Aborted before that, the command is killed, also when it has begun meanwhile. */
  async exec(request: ExecRequest, signal?: AbortSignal): Promise<ExecSession> {
    throwIfAborted(signal);
    try {
      return await ExecChannel.open(this.#link, execMessage(request), signal);
    } catch (error) {
      // The agent may have started it by now. Where it never ran or has ended this fails, which is as well.
      if (signal?.aborted) this.signal(request.exec, "SIGKILL", "all").catch(() => {});
      throw error;
    }
  }

  /** Listens to a command from the given offsets on, in place of whoever listens now. */
  attach(exec: ExecId, from: OutputOffsets, signal?: AbortSignal): Promise<ExecSession> {
    const { stdout, stderr } = from;
    return ExecChannel.open(this.#link, { type: "attach", exec, stdout, stderr }, signal);
  }

  /** Reads a command's output beside whoever listens to it. */
  read(exec: ExecId, options: ReadOptions, signal?: AbortSignal): Promise<OutputReading> {
    return ReadChannel.open(this.#link, { exec, ...options }, signal);
  }

  async list(signal?: AbortSignal): Promise<readonly ExecSummary[]> {
    return (await this.#request({ type: "list" }, readExecList, signal)).execs;
  }

  /** Resolves with the command's report when it has ended; nobody who listens to it is disturbed. */
  async wait(exec: ExecId, signal?: AbortSignal): Promise<ExecReport> {
    throwIfAborted(signal);
    const ended = deferred<ExecReport>();
    const request: WaitRequest = { type: "wait", exec };
    const channel = this.#link.open(request, {
      receive(frame) {
        if (frame.kind === "exit") ended.resolve(readExecReport(frame.json, "exit"));
        else if (frame.kind !== "ack") throw unexpected(frame);
        else readEmpty(frame.json, "ack");
      },
      fail: ended.reject,
    });
    return watchAbort(ended.promise, signal, (reason) => {
      channel.close();
      ended.reject(reason);
    });
  }

  /** Takes a command's stdin over from whoever feeds it now. */
  input(exec: ExecId, signal?: AbortSignal): Promise<ExecFeed> {
    return InputChannel.open(this.#link, exec, signal);
  }

  /** Harmless after the command's end. */
  async signal(exec: ExecId, name: string, scope: SignalScope, signal?: AbortSignal): Promise<void> {
    await this.#request({ type: "signal", exec, signal: name, scope }, readEmpty, signal);
  }

  async resize(exec: ExecId, size: { columns: number; rows: number }, signal?: AbortSignal): Promise<void> {
    const { columns, rows } = size;
    await this.#request({ type: "resize", exec, columns, rows }, readEmpty, signal);
  }

  /** Drops what the agent keeps of a command that has ended. */
  async forget(exec: ExecId, signal?: AbortSignal): Promise<void> {
    await this.#request({ type: "forget", exec }, readEmpty, signal);
  }

  usage(signal?: AbortSignal): Promise<AgentUsage> {
    return this.#request({ type: "usage" }, readUsage, signal);
  }

  /** Connects to what listens inside; the stream is the caller's. */
  dial(target: DialTarget, signal?: AbortSignal): Promise<Duplex> {
    return DialStream.open(this.#link, target, signal);
  }

  /** The TCP ports that something listens on, in their order. */
  async ports(signal?: AbortSignal): Promise<readonly ListeningPort[]> {
    return (await this.#request({ type: "ports" }, readPorts, signal)).ports;
  }

  /** The processes inside, by pid. */
  processes(signal?: AbortSignal): Promise<ProcessesView> {
    return this.#request({ type: "processes" }, readProcesses, signal);
  }

  /** What is done with files by one answer; only on a connection that has had no other request. Throws `file/…`. */
  async file<T>(request: FileMessage, read: Reader<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await this.#link.request(request, read, { signal });
    } catch (error) {
      throw error instanceof PlyboxError ? fileError(error) : error;
    }
  }

  /** What answers with a stream; the same holds. */
  download<Ack, Report>(
    request: FileMessage,
    readers: DownloadReaders<Ack, Report>,
    signal?: AbortSignal,
  ): Promise<FileDownload<Ack, Report>> {
    const memory = this.#memory ?? new ReceiveMemory();
    return FileDownload.open({ link: this.#link, memory, request, readers }, signal);
  }

  /** What takes a stream; the same holds. */
  upload<Report>(
    request: FileMessage,
    readers: UploadReaders<Report>,
    signal?: AbortSignal,
  ): Promise<FileUpload<Report>> {
    return FileUpload.open(this.#link, request, readers, signal);
  }

  /** Ends every process of the sandbox, the agent last; resolves when that has begun. */
  async stop(signal?: AbortSignal): Promise<void> {
    await this.#request({ type: "stop" }, readEmpty, signal);
  }

  /** Ends the connection, for the reason where one is given; commands go on. */
  close(reason?: PlyboxError): void {
    this.#link.close(reason);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #request<T>(request: PlainRequest, read: Reader<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.#link.request(request, read, { signal, patienceMs: this.#patienceMs });
  }
}
