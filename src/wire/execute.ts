import type { Duplex } from "node:stream";
import { throwIfAborted, watchAbort } from "../base/abort.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ExecutionProgress, ExecutionRequest, ExecutionResult } from "../model/execution.ts";
import { ExecInput } from "./exec-input.ts";
import { executeMessage, readExecutionReport, readProgress } from "./execution-messages.ts";
import type { OutputPiece } from "./execution-output.ts";
import { ExecutionOutput } from "./execution-output.ts";
import { ReceiveWindow } from "./flow-control.ts";
import type { Channel, ChannelFrame, ChannelHandler } from "./link.ts";
import { Link, unexpected } from "./link.ts";
import { readEmpty } from "./messages.ts";
import { PeerRefusal } from "./peer-errors.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

const DEFAULT_OUTPUT_BYTES = 16_777_216;
const MOST_KEPT_BYTES = 67_108_864;

export interface ExecuteOptions {
  /** Called about every 100 ms while it compiles and runs. */
  readonly onProgress?: (sample: ExecutionProgress) => void;
  /** Takes the output as it comes; the result then has none. `bytes` may be changed by nobody else, nor later. */
  readonly onOutput?: (piece: OutputPiece) => void;
  /** Its abort ends the execution: nothing of it is left running. */
  readonly signal?: AbortSignal;
}

/**
 * Compiles and runs a source on a one-execution agent, docs/agent-single.md, and resolves with the verdict, whatever it
 * is. `stream` leads to an agent that nobody has talked to on it yet; it is destroyed at the end, one way or the other.
 * @throws PlyboxError `input/invalid` with the field, `input/too-large`, `exec/program-not-found`,
 *   `exec/not-executable`, `exec/refused` where the agent lacks resources, `execution/busy` while it serves another,
 *   `agent/protocol`, `agent/unreachable`; the signal's reason; or what `stdin` or a callback throws
 */
export async function execute(
  stream: Duplex,
  request: ExecutionRequest,
  options: ExecuteOptions = {},
): Promise<ExecutionResult> {
  using link = new Link({ input: stream, output: stream, peer: "agent", sandbox: "", incarnation: 0 });
  throwIfAborted(options.signal);
  const most = request.outputBytes ?? DEFAULT_OUTPUT_BYTES;
  if (options.onOutput === undefined && most > MOST_KEPT_BYTES) {
    const message = `more than ${MOST_KEPT_BYTES} bytes of output are not kept: they need onOutput`;
    throw new PlyboxError("input/invalid", message, { field: "outputBytes" });
  }
  const execution = new Execution(link, request, options, new ExecutionOutput(most, options.onOutput));
  return await watchAbort(execution.result, options.signal, (reason) => execution.end(reason));
}

/** The channel of one execution. */
class Execution implements ChannelHandler {
  readonly #result = deferred<ExecutionResult>();
  readonly #onProgress: ExecuteOptions["onProgress"];
  readonly #output: ExecutionOutput;
  readonly #window = new ReceiveWindow();
  readonly #channel: Channel;
  readonly #input: ExecInput;
  #isAccepted = false;
  #isOver = false;

  constructor(link: Link, request: ExecutionRequest, { onProgress }: ExecuteOptions, output: ExecutionOutput) {
    this.#onProgress = onProgress;
    this.#output = output;
    const { message, stdin } = executeMessage(request);
    this.#channel = link.open(message, this);
    this.#input = new ExecInput(this.#channel);
    if (stdin !== undefined) this.#feed(stdin).catch((error) => this.end(error));
  }

  get result(): Promise<ExecutionResult> {
    return this.#result.promise;
  }

  /** Settles the result with an error, unless it is settled. */
  end(error: unknown): void {
    this.#isOver = true;
    this.#input.stop();
    this.#result.reject(error);
  }

  receive(frame: ChannelFrame): void {
    if (this.#isOver) return;
    try {
      if (this.#isAccepted) this.#take(frame);
      else this.#accept(frame);
    } catch (error) {
      if (error instanceof ProtocolViolation) throw error;
      // It is the caller's own: what a callback throws.
      this.end(error);
    }
  }

  fail(error: PlyboxError): void {
    const isInvalid = error.cause instanceof PeerRefusal && error.cause.code === "bad-request";
    const detail = { ...(error.field !== undefined && { field: error.field }), cause: error };
    this.end(isInvalid ? new PlyboxError("input/invalid", error.message, detail) : error);
  }

  #accept(frame: ChannelFrame): void {
    if (frame.kind !== "ack") throw unexpected(frame);
    readEmpty(frame.json, "ack");
    this.#isAccepted = true;
  }

  #take(frame: ChannelFrame): void {
    switch (frame.kind) {
      case "progress": {
        const sample = readProgress(frame.json, "progress");
        this.#onProgress?.(sample);
        break;
      }
      case "data": {
        this.#window.receive(frame.bytes.length);
        this.#output.receive(frame.stream, frame.offset, frame.bytes);
        const bytes = this.#window.consume(frame.bytes.length);
        if (bytes > 0) this.#channel.send({ kind: "credit", bytes });
        break;
      }
      case "lost":
        this.#output.lose(frame.stream, frame);
        break;
      case "end":
        this.#output.end(frame.stream, frame.offset);
        break;
      case "credit":
        this.#input.grant(frame.bytes);
        break;
      case "exit":
        this.#finish(frame.json);
        break;
      case "ack":
        throw unexpected(frame);
    }
  }

  #finish(json: unknown): void {
    const report = readExecutionReport(json, "exit");
    this.#output.finish(report);
    this.#isOver = true;
    this.#input.stop();
    const { stdout, stderr } = this.#output;
    this.#result.resolve({ ...report, stdout, stderr });
  }

  async #feed(stdin: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const bytes of stdin) {
      await this.#input.write(bytes);
      // A source without end is let go of with the program that read it.
      if (this.#isOver) return;
    }
    await this.#input.end();
  }
}
