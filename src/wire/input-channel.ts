import { throwIfAborted, watchAbort } from "../base/abort.ts";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ExecFeed } from "../model/exec.ts";
import type { ExecId } from "../model/ids.ts";
import type { InputRequest } from "./agent-messages.ts";
import { readExecReport, readInputAck } from "./agent-messages.ts";
import { ExecInput } from "./exec-input.ts";
import type { Channel, ChannelFrame, ChannelHandler, Link } from "./link.ts";
import { unexpected } from "./link.ts";

/** An `input` channel: a command's stdin without its output. */
export class InputChannel implements ChannelHandler, ExecFeed {
  readonly #channel: Channel;
  readonly #input: ExecInput;
  /** Resolved by the agent's `ack`, which comes first. */
  readonly #accepted: Deferred<ExecFeed>;
  #offset: number | undefined;

  private constructor(link: Link, request: InputRequest, accepted: Deferred<ExecFeed>) {
    this.#accepted = accepted;
    this.#channel = link.open(request, this);
    this.#input = new ExecInput(this.#channel);
  }

  /**
   * Resolves when the agent has accepted.
   * @throws PlyboxError, or the signal's reason
   */
  static async open(link: Link, exec: ExecId, signal?: AbortSignal): Promise<ExecFeed> {
    throwIfAborted(signal);
    const accepted = deferred<ExecFeed>();
    const channel = new InputChannel(link, { type: "input", exec }, accepted);
    return watchAbort(accepted.promise, signal, (reason) => {
      channel.close();
      accepted.reject(reason);
    });
  }

  get offset(): number {
    if (this.#offset === undefined) throw new PlyboxError("internal", "the agent has not accepted yet");
    return this.#offset;
  }

  receive(frame: ChannelFrame): void {
    if (this.#offset === undefined) {
      if (frame.kind !== "ack") throw unexpected(frame);
      this.#offset = readInputAck(frame.json, "ack").stdinOffset;
      this.#input.resumeAt(this.#offset);
      this.#accepted.resolve(this);
    } else if (frame.kind === "credit") {
      this.#input.grant(frame.bytes);
    } else if (frame.kind === "exit") {
      readExecReport(frame.json, "exit");
      this.#input.stop();
    } else {
      throw unexpected(frame);
    }
  }

  fail(error: PlyboxError): void {
    this.#accepted.reject(error);
    this.#input.stop(error);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#input.write(bytes);
  }

  end(): Promise<void> {
    return this.#input.end();
  }

  close(): void {
    this.#channel.close();
    this.#input.stop(new PlyboxError("aborted", "the input is closed"));
  }
}
