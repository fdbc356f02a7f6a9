import { throwIfAborted, watchAbort } from "../base/abort.ts";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ExecEvent, ExecReport, KeptRange, OutputReading, ReadOptions } from "../model/exec.ts";
import type { ExecId } from "../model/ids.ts";
import type { ReadAck, ReadRequest } from "./agent-messages.ts";
import { readReadAck, readReadExit } from "./agent-messages.ts";
import type { Channel, ChannelFrame, ChannelHandler, Link } from "./link.ts";
import { unexpected } from "./link.ts";
import { OutputReceiver } from "./output-receiver.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

type Request = ReadOptions & { readonly exec: ExecId };

/** A `read` channel: a command's output beside the one who listens. */
export class ReadChannel implements ChannelHandler, OutputReading {
  readonly exec: ExecId;
  readonly #request: Request;
  readonly #channel: Channel;
  readonly #output: OutputReceiver;
  /** Resolved by the agent's `ack`, which comes first. */
  readonly #accepted: Deferred<OutputReading>;
  #ack: ReadAck | undefined;
  #isIterated = false;

  private constructor(link: Link, request: Request, accepted: Deferred<OutputReading>) {
    const { exec, from, follow } = request;
    this.exec = exec;
    this.#request = request;
    this.#accepted = accepted;
    const grant = (bytes: number): void => this.#channel.send({ kind: "credit", bytes });
    this.#output = new OutputReceiver({ from, mayMiss: true, grant });
    const message: ReadRequest = { type: "read", exec, stdout: from.stdout, stderr: from.stderr, follow };
    this.#channel = link.open(message, this);
  }

  /**
   * Resolves when the agent has accepted.
   * @throws PlyboxError, or the signal's reason
   */
  static async open(link: Link, request: Request, signal?: AbortSignal): Promise<OutputReading> {
    throwIfAborted(signal);
    const accepted = deferred<OutputReading>();
    const channel = new ReadChannel(link, request, accepted);
    return watchAbort(accepted.promise, signal, (reason) => {
      channel.close();
      accepted.reject(reason);
    });
  }

  get pid(): number {
    return this.#accept.pid;
  }

  get stdout(): KeptRange {
    return this.#accept.stdout;
  }

  get stderr(): KeptRange {
    return this.#accept.stderr;
  }

  get report(): ExecReport | null {
    return this.#accept.report;
  }

  receive(frame: ChannelFrame): void {
    if (this.#ack === undefined) {
      if (frame.kind !== "ack") throw unexpected(frame);
      this.#ack = this.#checked(readReadAck(frame.json, "ack"));
      this.#accepted.resolve(this);
    } else if (frame.kind === "exit") {
      this.#receiveExit(readReadExit(frame.json, "exit").report);
    } else if (frame.kind === "data" || frame.kind === "lost" || frame.kind === "end") {
      this.#output.receive(frame);
      if (!this.#request.follow && !this.#isWithin(this.#ack)) {
        throw new ProtocolViolation("sequence", "more has come than was there");
      }
    } else {
      throw unexpected(frame);
    }
  }

  fail(error: PlyboxError): void {
    this.#accepted.reject(error);
    this.#output.end(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<ExecEvent, undefined> {
    if (this.#isIterated) throw new PlyboxError("internal", "a command's output has a single reader");
    this.#isIterated = true;
    return {
      next: () => this.#output.next(),
      return: () => {
        this.close();
        return this.#output.next();
      },
    };
  }

  close(): void {
    this.#channel.close();
    this.#output.discard();
  }

  get #accept(): ReadAck {
    if (this.#ack === undefined) throw new PlyboxError("internal", "the agent has not accepted yet");
    return this.#ack;
  }

  #checked(ack: ReadAck): ReadAck {
    const { stdout, stderr } = this.#request.from;
    if (ack.stdout.from < stdout || ack.stderr.from < stderr) {
      throw new ProtocolViolation("payload", "ack keeps more than was asked for");
    }
    this.#checkReport(ack.report);
    return ack;
  }

  #isWithin({ stdout, stderr }: ReadAck): boolean {
    const { offsets } = this.#output;
    return offsets.stdout <= stdout.to && offsets.stderr <= stderr.to;
  }

  #receiveExit(report: ExecReport | null): void {
    const { stdout, stderr } = this.#accept;
    const { offsets } = this.#output;
    if (offsets.stdout < stdout.to || offsets.stderr < stderr.to) {
      throw new ProtocolViolation("sequence", "exit before all that was there has come");
    }
    this.#checkReport(report);
    if (this.#request.follow && report === null) {
      throw new ProtocolViolation("sequence", "a command that is followed has not ended");
    }
    if (report !== null) this.#output.push({ kind: "exit", report });
    this.#output.end();
  }

  #checkReport(report: ExecReport | null): void {
    if (report !== null && report.exec !== this.exec) {
      throw new ProtocolViolation("sequence", `a report of ${report.exec}, not ${this.exec}`);
    }
  }
}
