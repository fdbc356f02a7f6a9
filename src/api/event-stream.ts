import type { ReadableStreamDefaultController } from "node:stream/web";
import { PlyboxError } from "../model/errors.ts";
import type { ExecEvent, OutputOffsets } from "../model/exec.ts";
import { errorView } from "./answers.ts";
import { reportView } from "./collect.ts";
import type { ExecEventViews } from "./contract.ts";
import type { StreamTurns } from "./right-of-way.ts";

export interface EventStreamOptions {
  readonly started: ExecEventViews["started"];
  /** Where the streams begin. */
  readonly from: OutputOffsets;
  readonly turns: StreamTurns;
  /** Silence after which a comment is sent, so that neither end takes the connection for dead. */
  readonly keepAliveMs: number;
  /** What a reader gets when the source fails with something other than a PlyboxError. */
  readonly onUnknownError: (error: unknown) => PlyboxError;
  /** Called once: after the last event, or when the reader goes away. */
  readonly release: () => void;
}

const HEADERS = { "content-type": "text/event-stream", "cache-control": "no-store" };
const COMMENT = Buffer.from(": still here\n\n");

/**
 * A command's events as server-sent events. The next one is asked for only when the connection has taken the one
 * before, so that a slow reader holds back the command and not the daemon's memory.
 */
export function eventStream(events: AsyncIterator<ExecEvent>, options: EventStreamOptions): Response {
  const frames = new FrameWriter(options.from);
  let open = true;
  let keepAlive: NodeJS.Timeout | undefined;
  const finish = (): void => {
    if (!open) return;
    open = false;
    clearInterval(keepAlive);
    options.release();
  };
  const source = {
    start(controller: ReadableStreamDefaultController<Uint8Array>) {
      controller.enqueue(frames.write("started", options.started));
      // Only while the reader waits: a comment behind unread events would tell nobody anything.
      keepAlive = setInterval(() => controller.desiredSize === 0 && controller.enqueue(COMMENT), options.keepAliveMs);
      keepAlive.unref();
    },
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      const { frame, last } = await next(events, frames, options);
      if (!open) return;
      keepAlive?.refresh();
      controller.enqueue(frame);
      if (!last) return;
      finish();
      controller.close();
    },
    cancel: finish,
  };
  return new Response(new ReadableStream(source, { highWaterMark: 0 }), { status: 200, headers: HEADERS });
}

interface Next {
  readonly frame: Buffer;
  readonly last: boolean;
}

async function next(
  events: AsyncIterator<ExecEvent>,
  frames: FrameWriter,
  { turns, onUnknownError }: EventStreamOptions,
): Promise<Next> {
  try {
    const { value, done } = await events.next();
    // Who does not follow a command that goes on gets no exit.
    if (done === true) return { frame: frames.reached(), last: true };
    await turns(value);
    return { frame: frames.event(value), last: value.kind === "exit" };
  } catch (error) {
    const known = error instanceof PlyboxError ? error : onUnknownError(error);
    return { frame: frames.write("error", errorView(known)), last: true };
  }
}

/** Formats events; each one's id is the offsets from which a reader goes on after it. */
class FrameWriter {
  #stdout: number;
  #stderr: number;

  constructor(from: OutputOffsets) {
    this.#stdout = from.stdout;
    this.#stderr = from.stderr;
  }

  event(event: ExecEvent): Buffer {
    switch (event.kind) {
      case "output": {
        const { stream, offset, bytes } = event;
        this.#reach(stream, offset + bytes.length);
        // Base64 and the stream's name need no escaping.
        const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
        return this.#frame("output", `{"stream":"${stream}","offset":${offset},"base64":"${base64}"}`);
      }
      case "lost":
        this.#reach(event.stream, event.to);
        return this.write("lost", { stream: event.stream, from: event.from, to: event.to });
      case "end":
        return this.write("end", { stream: event.stream, offset: event.offset });
      case "exit":
        return this.write("exit", reportView(event.report));
    }
  }

  reached(): Buffer {
    return this.write("reached", { stdout: this.#stdout, stderr: this.#stderr });
  }

  write<Name extends keyof ExecEventViews>(name: Name, view: ExecEventViews[Name]): Buffer {
    return this.#frame(name, JSON.stringify(view));
  }

  #reach(stream: "stdout" | "stderr", offset: number): void {
    if (stream === "stdout") this.#stdout = offset;
    else this.#stderr = offset;
  }

  #frame(name: string, text: string): Buffer {
    return Buffer.from(`event: ${name}\nid: ${this.#stdout}.${this.#stderr}\ndata: ${text}\n\n`);
  }
}

/** Reads the id of the last event that a reader got; undefined when it is not one of ours. */
export function offsetsFromEventId(id: string | undefined): OutputOffsets | undefined {
  const match = /^([0-9]{1,15})\.([0-9]{1,15})$/.exec(id ?? "");
  return match === null ? undefined : { stdout: Number(match[1]), stderr: Number(match[2]) };
}
