import type { ExecId } from "./ids.ts";

/**
 * What ended a command, when it was not the command itself; or what it failed at, since of `pids` and `disk` the kernel
 * ends nobody, but refuses what is too much.
 */
export const EXEC_LIMITS = ["wall", "cpu", "output", "memory", "pids", "disk", "file-size"] as const;
export type ExecLimit = (typeof EXEC_LIMITS)[number];

/** Limits that were met while a command ran, whatever it made of that, as the kernel has it; at least one. */
export interface LimitsMet {
  /** Processes that the kernel killed for want of memory. */
  readonly memoryKills?: number;
  /** Forks that the kernel refused. */
  readonly refusedForks?: number;
  /** Of what the writable layer had nothing left when the command ended. */
  readonly upperFull?: "bytes" | "inodes";
}

/** Of a terminal, in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A command to run in a sandbox; the fields are those of `exec` in docs/protocol.md §4. */
export interface ExecRequest {
  readonly exec: ExecId;
  /** A program with its arguments, or one line for `/bin/sh -c`. */
  readonly command: readonly string[] | string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  /** Whether the command's stdin is open; it reads `/dev/null` otherwise. */
  readonly stdin?: boolean;
  /** Whether stderr is written to stdout's stream, in order. */
  readonly merge?: boolean;
  /** Run on a terminal of this size; implies `stdin` and `merge`. */
  readonly pty?: TerminalSize;
  readonly wallMs?: number;
  /** Processor time of everything that it starts. */
  readonly cpuMs?: number;
  /** Processes and threads at once. */
  readonly pids?: number;
  /** Memory of everything that it starts, what the kernel keeps for it included. */
  readonly memoryBytes?: number;
  readonly outputBytes?: number;
  readonly ringBytes?: number;
}

/** How a command ended. */
export interface ExecReport {
  readonly exec: ExecId;
  /** Null when a signal ended it. */
  readonly code: number | null;
  /** Such as `SIGKILL`; null when it exited. */
  readonly signal: string | null;
  readonly limit: ExecLimit | null;
  /** Absent where none was met. */
  readonly limitsMet?: LimitsMet;
  readonly wallMs: number;
  readonly userMs: number;
  readonly systemMs: number;
  readonly peakRssBytes: number;
  /** The most memory that all of it held at once, as the kernel counted it; of a command with a memory limit alone. */
  readonly memoryPeakBytes?: number;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
}

export type OutputStream = "stdout" | "stderr";

/** What a command's output stream carries, in order; `exit` is last. */
export type ExecEvent =
  | { readonly kind: "output"; readonly stream: OutputStream; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly stream: OutputStream; readonly offset: number }
  /** Bytes `[from, to)` of the stream are no longer kept. */
  | { readonly kind: "lost"; readonly stream: OutputStream; readonly from: number; readonly to: number }
  | { readonly kind: "exit"; readonly report: ExecReport };

/** One command as the agent lists it. */
export interface ExecSummary {
  readonly exec: ExecId;
  readonly pid: number;
  readonly running: boolean;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  /** How long it has run, or ran. */
  readonly wallMs: number;
  /** How it ended, once it has. */
  readonly report: ExecReport | null;
}

export type SignalScope = "process" | "group" | "all";

/** One command's streams, seen by one client. The command does not depend on it: closing only stops listening. */
export interface ExecSession extends AsyncIterable<ExecEvent> {
  readonly exec: ExecId;
  readonly pid: number;
  /** Sends bytes to stdin; resolves when the agent's credit has taken them. Dropped once the command has ended. */
  write(bytes: Uint8Array): Promise<void>;
  /** Closes the command's stdin. */
  endInput(): Promise<void>;
  /** Stops listening; the command goes on. Idempotent. */
  close(): void;
}

/** Where a stream of a command is kept from, and where it stood when that was asked, in bytes. */
export interface KeptRange {
  readonly from: number;
  readonly to: number;
}

/**
 * A command's output as one reads it beside whoever follows the command. The command does not wait for it: `lost` may
 * come in the middle. `exit` comes last where the command has ended.
 */
export interface OutputReading extends AsyncIterable<ExecEvent> {
  readonly exec: ExecId;
  readonly pid: number;
  readonly stdout: KeptRange;
  readonly stderr: KeptRange;
  /** How it had ended by then. */
  readonly report: ExecReport | null;
  /** Stops reading. Idempotent. */
  close(): void;
}

/** What is to be read of a command's output. */
export interface ReadOptions {
  readonly from: OutputOffsets;
  /** Go on until the command has ended, instead of up to where it stands now. */
  readonly follow: boolean;
}

/** A command's stdin, held by one who need not read its output. */
export interface ExecFeed {
  /** How many bytes the command's side had taken when this began. */
  readonly offset: number;
  /** Resolves when the agent's credit has taken the bytes. Dropped once the command has ended. */
  write(bytes: Uint8Array): Promise<void>;
  /** Closes the command's stdin. */
  end(): Promise<void>;
  /** Lets go of stdin, which stays as it is. Idempotent. */
  close(): void;
}

/** Where to start reading each stream of a command, in bytes. */
export interface OutputOffsets {
  readonly stdout: number;
  readonly stderr: number;
}
