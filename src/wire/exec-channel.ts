import { throwIfAborted, watchAbort } from "../base/abort.ts";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ExecEvent, ExecSession, OutputOffsets } from "../model/exec.ts";
import type { ExecId } from "../model/ids.ts";
import type { StreamRequest } from "./agent-messages.ts";
import { readAttachAck, readExecAck, readExecReport } from "./agent-messages.ts";
import { ExecInput } from "./exec-input.ts";
import type { Channel, ChannelFrame, ChannelHandler, Link } from "./link.ts";
import { unexpected } from "./link.ts";
import { OutputReceiver } from "./output-receiver.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

/** An `exec` or `attach` channel: the session that the frames of one command make. */
export class ExecChannel implements ChannelHandler, ExecSession {
  readonly #request: StreamRequest;
  readonly #channel: Channel;
  /** Resolved by the agent's `ack`, which comes first. */
  readonly #accepted: Deferred<ExecSession>;
  #pid: number | undefined;
  #isIterated = false;

  readonly #output: OutputReceiver;
  readonly #input: ExecInput;

  private constructor(link: Link, request: StreamRequest, accepted: Deferred<ExecSession>) {
    const from: OutputOffsets = request.type === "attach" ? request : { stdout: 0, stderr: 0 };
    this.#request = request;
    this.#accepted = accepted;
    this.#output = new OutputReceiver({
      from,
      mayMiss: false,
      grant: (bytes) => this.#channel.send({ kind: "credit", bytes }),
    });
    this.#channel = link.open(request, this);
    this.#input = new ExecInput(this.#channel);
  }

  /**
   * Resolves when the agent has accepted. An abort before that gives the channel up.
   * @throws PlyboxError, or the signal's reason
   */
  static async open(link: Link, request: StreamRequest, signal?: AbortSignal): Promise<ExecSession> {
    throwIfAborted(signal);
    const accepted = deferred<ExecSession>();
    const channel = new ExecChannel(link, request, accepted);
    return watchAbort(accepted.promise, signal, (reason) => {
      channel.close();
      accepted.reject(reason);
    });
  }

  get exec(): ExecId {
    return this.#request.exec;
  }

  get pid(): number {
    if (this.#pid === undefined) throw new PlyboxError("internal", "the agent has not accepted yet");
    return this.#pid;
  }

  receive(frame: ChannelFrame): void {
    if (this.#pid === undefined) {
      this.#accept(frame);
      return;
    }
    switch (frame.kind) {
      case "data":
      case "end":
      case "lost":
        this.#output.receive(frame);
        break;
      case "credit":
        this.#input.grant(frame.bytes);
        break;
      case "exit":
        this.#receiveExit(frame.json);
        break;
      case "ack":
        throw unexpected(frame);
    }
  }

  fail(error: PlyboxError): void {
    this.#accepted.reject(error);
    this.#output.end(error);
    this.#input.stop(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<ExecEvent, undefined> {
    if (this.#isIterated) throw new PlyboxError("internal", "an exec session has a single reader");
    this.#isIterated = true;
    return {
      next: () => this.#output.next(),
      return: () => {
        this.close();
        return this.#output.next();
      },
    };
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#input.write(bytes);
  }

  endInput(): Promise<void> {
    return this.#input.end();
  }

  close(): void {
    this.#channel.close();
    this.#output.discard();
    this.#input.stop(() => new PlyboxError("aborted", "the session is closed"));
  }

  #accept(frame: ChannelFrame): void {
    if (frame.kind !== "ack") throw unexpected(frame);
    if (this.#request.type === "attach") {
      const { pid, stdinOffset } = readAttachAck(frame.json, "ack");
      this.#pid = pid;
      this.#input.resumeAt(stdinOffset);
    } else {
      this.#pid = readExecAck(frame.json, "ack").pid;
    }
    this.#accepted.resolve(this);
  }

  #receiveExit(json: unknown): void {
    const report = readExecReport(json, "exit");
    if (report.exec !== this.exec) throw new ProtocolViolation("sequence", `exit of ${report.exec}, not ${this.exec}`);
    this.#output.push({ kind: "exit", report });
    this.#output.end();
    this.#input.stop();
  }
}
