import type { PlyboxError } from "../model/errors.ts";
import type { ExecEvent, OutputOffsets, OutputStream } from "../model/exec.ts";
import { ExecOutput } from "./exec-output.ts";
import { ReceiveWindow } from "./flow-control.ts";
import type { ChannelFrame } from "./link.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

/** How far an output stream has come. */
interface Position {
  readonly name: OutputStream;
  offset: number;
  begun: boolean;
  ended: boolean;
}

/** What an agent names between pieces while nobody takes them: a window holds far fewer, and each costs no credit. */
const MOST_QUEUED_LOSSES = 1024;

/** How a command's output is received. */
export interface ReceiverOptions {
  readonly from: OutputOffsets;
  /** Whether bytes may be lost behind the first ones: where the command does not wait for the reader. */
  readonly mayMiss: boolean;
  /** Called with what to grant the agent, as the reader takes bytes. */
  readonly grant: (bytes: number) => void;
}

/** The output streams of one command as one channel carries them, for a single reader: in order, and within credit. */
export class OutputReceiver {
  readonly #options: ReceiverOptions;
  readonly #streams: readonly [stdin: undefined, stdout: Position, stderr: Position];
  readonly #window = new ReceiveWindow();
  readonly #output = new ExecOutput((event) => this.#taken(event));
  #queuedLosses = 0;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    const { stdout, stderr } = options.from;
    this.#streams = [
      undefined,
      { name: "stdout", offset: stdout, begun: false, ended: false },
      { name: "stderr", offset: stderr, begun: false, ended: false },
    ];
  }

  /** Where each stream has come to. */
  get offsets(): OutputOffsets {
    const [, { offset: stdout }, { offset: stderr }] = this.#streams;
    return { stdout, stderr };
  }

  /** @throws ProtocolViolation */
  receive(frame: Extract<ChannelFrame, { kind: "data" | "end" | "lost" }>): void {
    const stream = this.#streamAt(frame.stream, frame.kind === "lost" ? frame.from : frame.offset);
    if (frame.kind === "data") {
      this.#receiveBytes(stream, frame.bytes);
    } else if (frame.kind === "lost") {
      this.#receiveLoss(stream, frame.to);
    } else {
      stream.ended = true;
      this.#output.push({ kind: "end", stream: stream.name, offset: frame.offset });
    }
  }

  push(event: ExecEvent): void {
    this.#output.push(event);
  }

  /** Nothing more comes; the error, where one is given, after what has come. */
  end(error?: PlyboxError): void {
    this.#output.end(error);
  }

  /** Nobody reads any more. */
  discard(): void {
    this.#output.discard();
  }

  next(): Promise<IteratorResult<ExecEvent, undefined>> {
    return this.#output.next();
  }

  /** The output stream that a frame goes on with at `offset`. */
  #streamAt(number: number, offset: number): Position {
    const stream = this.#streams[number];
    if (stream === undefined || stream.ended) {
      throw new ProtocolViolation("sequence", `nothing may come on stream ${number}`);
    }
    if (offset !== stream.offset) {
      throw new ProtocolViolation("sequence", `${stream.name} goes on at ${offset}, not at ${stream.offset}`);
    }
    return stream;
  }

  #receiveBytes(stream: Position, bytes: Uint8Array): void {
    this.#window.receive(bytes.length);
    const { name, offset } = stream;
    stream.begun = true;
    stream.offset += bytes.length;
    // An empty frame tells nothing and costs no credit: queued, it would take memory without bound.
    if (bytes.length > 0) this.#output.push({ kind: "output", stream: name, offset, bytes });
  }

  #receiveLoss(stream: Position, to: number): void {
    // One loss a stream, before its bytes, or a number of them: the queue stays bounded.
    if (stream.begun && !this.#options.mayMiss) {
      throw new ProtocolViolation("sequence", `${stream.name} has lost bytes after its beginning`);
    }
    if (this.#queuedLosses === MOST_QUEUED_LOSSES) {
      throw new ProtocolViolation("sequence", "more is lost than can be told");
    }
    const from = stream.offset;
    stream.begun = true;
    stream.offset = to;
    this.#queuedLosses += 1;
    this.#output.push({ kind: "lost", stream: stream.name, from, to });
  }

  #taken(event: ExecEvent): void {
    if (event.kind === "lost") this.#queuedLosses -= 1;
    if (event.kind !== "output") return;
    const bytes = this.#window.consume(event.bytes.length);
    if (bytes > 0) this.#options.grant(bytes);
  }
}
