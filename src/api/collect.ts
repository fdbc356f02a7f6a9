import { isUtf8 } from "node:buffer";
import { PlyboxError } from "../model/errors.ts";
import type { ExecEvent, ExecReport, OutputStream } from "../model/exec.ts";
import { ByteBuffer } from "./byte-buffer.ts";
import type { ExecEventViews, ExecResultView } from "./contract.ts";
import type { StreamTurns } from "./right-of-way.ts";

export interface CollectOptions {
  readonly turns: StreamTurns;
  readonly encoding: "utf8" | "base64";
  /** Bytes of stdout and stderr together that the answer holds; what comes later is counted and dropped. */
  readonly maxBytes: number;
}

export function reportView(report: ExecReport): ExecEventViews["exit"] {
  const { code, limitsMet, memoryPeakBytes } = report;
  return {
    exec: report.exec,
    exitCode: code,
    signal: report.signal,
    limit: report.limit,
    wallMs: report.wallMs,
    userMs: report.userMs,
    systemMs: report.systemMs,
    peakRssBytes: report.peakRssBytes,
    stdoutBytes: report.stdoutBytes,
    stderrBytes: report.stderrBytes,
    ...(limitsMet !== undefined && { limitsMet }),
    ...(memoryPeakBytes !== undefined && { memoryPeakBytes }),
  };
}

/**
 * Reads a command to its end into one answer.
 *
 * @throws PlyboxError `aborted` when the session is closed before the command ended
 */
export async function collect(events: AsyncIterable<ExecEvent>, options: CollectOptions): Promise<ExecResultView> {
  const kept = { stdout: new ByteBuffer(), stderr: new ByteBuffer() };
  const missing = { stdout: 0, stderr: 0 };
  const { turns, maxBytes } = options;
  let room = maxBytes;
  for await (const event of events) {
    if (event.kind === "output") {
      await turns(event);
      const { stream, bytes } = event;
      const taken = Math.min(room, bytes.length);
      kept[stream].append(taken === bytes.length ? bytes : bytes.subarray(0, taken));
      missing[stream] += bytes.length - taken;
      room -= taken;
    } else if (event.kind === "lost") {
      missing[event.stream] += event.to - event.from;
    } else if (event.kind === "exit") {
      return resultView(event.report, { stdout: kept.stdout.view(), stderr: kept.stderr.view() }, missing, options);
    }
  }
  throw new PlyboxError("aborted", "nobody waits for this command any more; it goes on");
}

type PerStream<T> = Readonly<Record<OutputStream, T>>;

function resultView(
  report: ExecReport,
  output: PerStream<Buffer>,
  missing: PerStream<number>,
  { encoding }: CollectOptions,
): ExecResultView {
  const mangled =
    encoding === "utf8" ? (["stdout", "stderr"] as const).filter((stream) => !isUtf8(output[stream])) : [];
  return Object.assign(reportView(report), {
    stdout: output.stdout.toString(encoding),
    stderr: output.stderr.toString(encoding),
    ...((missing.stdout > 0 || missing.stderr > 0) && { truncated: missing }),
    ...(mangled.length > 0 && { notUtf8: mangled }),
  });
}
