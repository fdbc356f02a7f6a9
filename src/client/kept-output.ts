import type { CommandEvent, ExitReport, Offsets } from "./command.ts";
import { eventOf, openStream, outputPath } from "./command.ts";
import type { CallOptions, Connection } from "./connection.ts";
import type { Encoding, Output } from "./exec-result.ts";
import { joined } from "./exec-result.ts";
import { unreachable } from "./plybox-api-error.ts";

export interface ReadOutputOptions extends CallOptions {
  /** Where each stream is read from; its beginning by default. */
  readonly from?: Partial<Offsets>;
}

export interface KeptOutputOptions<E extends Encoding = "utf8"> extends ReadOutputOptions {
  /** How output is given: `utf8` text (default) or `bytes`. */
  readonly encoding?: E;
}

/** Bytes `[from, to)` of a stream, which are no longer kept. */
export type LostRange = Omit<Extract<CommandEvent, { kind: "lost" }>, "kind">;

/** What a command has written by now, as far as it is kept. */
export interface KeptOutput<E extends Encoding = "utf8"> {
  readonly stdout: Output<E>;
  readonly stderr: Output<E>;
  /** What to read from the next time: where the streams stood. */
  readonly next: Offsets;
  readonly lost: readonly LostRange[];
  /** How it ended; null while it runs. */
  readonly exit: ExitReport | null;
}

/** The events of what a command has written by now; `exit` is last where it has ended. Nobody's place is taken. */
export async function* readOutput(
  connection: Connection,
  execPath: string,
  { from: { stdout = 0, stderr = 0 } = {}, signal }: ReadOutputOptions,
): AsyncGenerator<CommandEvent, void, undefined> {
  signal?.throwIfAborted();
  const stream = new AbortController();
  const abort = (): void => stream.abort(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const path = outputPath({ stdout, stderr }, { follow: false });
  try {
    const { frames } = await openStream({ connection, sandboxPath: execPath, method: "GET", path }, stream.signal);
    for await (const { event, data } of frames) {
      if (event === "reached") return;
      const parsed = eventOf(event, data);
      if (parsed !== undefined) yield parsed;
      if (parsed?.kind === "exit") return;
    }
    throw unreachable("the command's output broke off");
  } finally {
    signal?.removeEventListener("abort", abort);
    stream.abort();
  }
}

/** The same, all at once: no more than the sandbox keeps of a command, 2 MiB where nothing else was asked for. */
export async function keptOutput<E extends Encoding>(
  connection: Connection,
  execPath: string,
  { encoding, ...options }: KeptOutputOptions<E>,
): Promise<KeptOutput<E>> {
  const pieces = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const next = { stdout: options.from?.stdout ?? 0, stderr: options.from?.stderr ?? 0 };
  const lost: LostRange[] = [];
  let exit: ExitReport | null = null;
  for await (const event of readOutput(connection, execPath, options)) {
    if (event.kind === "output") {
      pieces[event.stream].push(event.bytes);
      next[event.stream] = event.offset + event.bytes.length;
    } else if (event.kind === "lost") {
      const { stream, from, to } = event;
      lost.push({ stream, from, to });
      next[stream] = to;
    } else if (event.kind === "exit") exit = event.report;
  }
  const given = (bytes: Uint8Array): Output<E> =>
    (encoding === "bytes" ? bytes : new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)) as Output<E>;
  return { stdout: given(joined(pieces.stdout)), stderr: given(joined(pieces.stderr)), next, lost, exit };
}
