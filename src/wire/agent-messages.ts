import type {
  ExecReport,
  ExecRequest,
  ExecSummary,
  KeptRange,
  LimitsMet,
  OutputOffsets,
  OutputReading,
  SignalScope,
} from "../model/exec.ts";
import { EXEC_LIMITS } from "../model/exec.ts";
import type { ExecId } from "../model/ids.ts";
import { EXEC_ID } from "../model/ids.ts";
import type { ListeningPort } from "../model/port.ts";
import type { ProcessesView, ProcessView } from "../model/usage.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import type { Reader } from "./strict-reader.ts";
import { clipped, flag, integer, list, matching, nonNegative, nullable, object, oneOf } from "./strict-reader.ts";

type ExecMessage = Omit<ExecRequest, "command"> & { readonly type: "exec" } & (
    | { readonly argv: readonly string[] }
    | { readonly shell: string }
  );

/** The requests whose channel carries a command's streams. */
export type StreamRequest = ExecMessage | ({ readonly type: "attach"; readonly exec: ExecId } & OutputOffsets);

/** A request whose channel carries what is kept of a command's output. */
export interface ReadRequest extends OutputOffsets {
  readonly type: "read";
  readonly exec: ExecId;
  readonly follow: boolean;
}

/** A request whose channel carries nothing but a command's end. */
export interface WaitRequest {
  readonly type: "wait";
  readonly exec: ExecId;
}

/** A request whose channel feeds a command's stdin. */
export interface InputRequest {
  readonly type: "input";
  readonly exec: ExecId;
}

/** The requests that `ack` answers, docs/protocol.md §4. */
export type PlainRequest =
  | { readonly type: "list" }
  | { readonly type: "signal"; readonly exec: ExecId; readonly signal: string; readonly scope: SignalScope }
  | { readonly type: "resize"; readonly exec: ExecId; readonly columns: number; readonly rows: number }
  | { readonly type: "forget"; readonly exec: ExecId }
  | { readonly type: "ports" }
  | { readonly type: "usage" }
  | { readonly type: "processes" }
  | { readonly type: "stop" };

export interface AttachAck {
  readonly pid: number;
  /** Bytes of stdin that the command's side has taken. */
  readonly stdinOffset: number;
  readonly running: boolean;
}

export type ReadAck = Pick<OutputReading, "pid" | "stdout" | "stderr" | "report">;

/** What a sandbox takes from the machine, as its agent sees it. */
export interface AgentUsage {
  /** Live processes in the sandbox. */
  readonly processes: number;
  /** The agent's own resident set. */
  readonly rssBytes: number;
  readonly uptimeMs: number;
}

export function execMessage({ command, ...rest }: ExecRequest): StreamRequest {
  return { type: "exec", ...rest, ...(typeof command === "string" ? { shell: command } : { argv: command }) };
}

const count = integer(0);
const pid = integer(1, 2 ** 31 - 1);
const execId = matching<ExecId>(EXEC_ID);

export const readExecAck = object<Pick<AttachAck, "pid">>({ pid });
export const readInputAck = object<Pick<AttachAck, "stdinOffset">>({ stdinOffset: count });
export const readAttachAck = object<AttachAck>({ pid, stdinOffset: count, running: flag });

export const readUsage = object<AgentUsage>({ processes: count, rssBytes: count, uptimeMs: nonNegative });

export const readDialReport = object<{ readonly inBytes: number; readonly outBytes: number }>({
  inBytes: count,
  outBytes: count,
});

export const readPorts = object<{ readonly ports: readonly ListeningPort[] }>({
  ports: list(object<ListeningPort>({ port: integer(1, 65_535), addresses: list(matching(/^[0-9a-f.:]{2,45}$/)) })),
});

const readProcess = object<ProcessView>({
  pid,
  // Zero for one that came from outside.
  ppid: integer(0, 2 ** 31 - 1),
  uid: integer(0, 2 ** 32 - 1),
  user: clipped(256),
  state: matching(/^[A-Za-z]$/),
  cpuMs: nonNegative,
  rssBytes: count,
  threads: count,
  command: clipped(1024),
});

export const readProcesses = object<ProcessesView>({ processes: list(readProcess), total: count });

const readLimitsMetFields = object<LimitsMet>(
  {},
  { memoryKills: integer(1), refusedForks: integer(1), upperFull: oneOf("bytes", "inodes") },
);

const readLimitsMet: Reader<LimitsMet> = (value, path) => {
  const met = readLimitsMetFields(value, path);
  if (Object.keys(met).length === 0) throw new ProtocolViolation("payload", `${path} names no limit`);
  return met;
};

const readReportFields = object<ExecReport>(
  {
    exec: execId,
    code: nullable(integer(0, 255)),
    signal: nullable(matching(/^SIG[A-Z0-9+]{1,16}$/)),
    limit: oneOf(...EXEC_LIMITS, null),
    wallMs: nonNegative,
    userMs: nonNegative,
    systemMs: nonNegative,
    peakRssBytes: count,
    stdoutBytes: count,
    stderrBytes: count,
  },
  { memoryPeakBytes: count, limitsMet: readLimitsMet },
);

export const readExecReport: Reader<ExecReport> = (value, path) => {
  const report = readReportFields(value, path);
  if ((report.code === null) === (report.signal === null)) {
    throw new ProtocolViolation("payload", `${path} needs either a code or a signal`);
  }
  return report;
};

const readKeptRange: Reader<KeptRange> = (value, path) => {
  const range = object<KeptRange>({ from: count, to: count })(value, path);
  if (range.from > range.to) throw new ProtocolViolation("payload", `${path} ends before it begins`);
  return range;
};

export const readReadAck = object<ReadAck>({
  pid,
  stdout: readKeptRange,
  stderr: readKeptRange,
  report: nullable(readExecReport),
});

export const readReadExit = object<Pick<ReadAck, "report">>({ report: nullable(readExecReport) });

export const readExecList = object<{ readonly execs: readonly ExecSummary[] }>({
  execs: list(
    object<ExecSummary>({
      exec: execId,
      pid,
      running: flag,
      stdoutBytes: count,
      stderrBytes: count,
      wallMs: nonNegative,
      report: nullable(readExecReport),
    }),
  ),
});
