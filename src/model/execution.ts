/** How an execution ended; docs/agent-single.md says by what evidence. */
export const VERDICTS = [
  "success",
  "timeout",
  "memory_exceeded",
  "output_exceeded",
  "runtime_error",
  "compilation_error",
] as const;
export type Verdict = (typeof VERDICTS)[number];

/** What ended an execution that did not end by itself. A compiler has no limit but `wall`. */
export const EXECUTION_LIMITS = ["wall", "cpu", "memory", "output"] as const;
export type ExecutionLimit = (typeof EXECUTION_LIMITS)[number];

/** How it is known that a program used more memory than it may; docs/agent-single.md. */
export const MEMORY_EVIDENCE = ["oom-counter", "resident", "peak"] as const;
export type MemoryEvidence = (typeof MEMORY_EVIDENCE)[number];

/** A source to compile, where it needs that, and to run: `execute` of docs/protocol.md §4. */
export interface ExecutionRequest {
  /** Text, or bytes; at most what the agent was started to take, 65,536 bytes by default. */
  readonly source: string | Uint8Array;
  /** What the source is called in the work directory, such as `main.c`; 1 to 255 bytes without a slash. */
  readonly sourceName: string;
  /** A program with its arguments, looked up in `PATH`; it runs in the work directory, as `run` does. */
  readonly compile?: readonly string[];
  readonly run: readonly string[];
  /** What the program reads; nothing by default. An iterable is read as the program takes what came before. */
  readonly stdin?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Added to `PATH`, `HOME` (the work directory) and `LANG`, or in their place. */
  readonly env?: Readonly<Record<string, string>>;
  /** Wall time of `run`, 1 to 86,400,000; 10,000 by default. */
  readonly wallMs?: number;
  /** Processor time of `run` and all that it starts, 1 to 86,400,000; none by default. */
  readonly cpuMs?: number;
  /** Resident memory of `run` and all that it starts, from 1,048,576; none by default. */
  readonly memoryBytes?: number;
  /** Of stdout and stderr together, from 0; 16,777,216 by default. */
  readonly outputBytes?: number;
  /** Wall time of `compile`, 1 to 86,400,000; 30,000 by default. */
  readonly compileWallMs?: number;
  /** How many processes and threads there may be at once, 1 to 65,536; 128 by default. */
  readonly processes?: number;
  /** What the agent keeps of each stream for a reader that lags behind, 4,096 to 67,108,864; 1,048,576 by default. */
  readonly ringBytes?: number;
}

/** What an execution uses while it runs. */
export interface ExecutionProgress {
  readonly phase: "compile" | "run";
  /** Since the beginning of the phase. */
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Of all its processes now. */
  readonly residentBytes: number;
  readonly processes: number;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
}

/** The verdict and what it rests on. Times and `peakBytes` are those of `run`; 0 where it was not started. */
export interface ExecutionReport {
  readonly result: Verdict;
  /** Of the program, or of the compiler that failed; null when a signal ended it. */
  readonly code: number | null;
  /** Such as `SIGSEGV`; null when it exited. */
  readonly signal: string | null;
  readonly limit: ExecutionLimit | null;
  /** Null but for `memory_exceeded`. */
  readonly memoryEvidence: MemoryEvidence | null;
  readonly wallMs: number;
  /** User and system time of all its processes. */
  readonly cpuMs: number;
  /** Wall time of the compiler; null where there was none. */
  readonly compileMs: number | null;
  readonly peakBytes: number;
  /** How much was written, whether it arrived or was overwritten before. */
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  /** The compiler's last words on stdout and stderr, at most 65,536 bytes. */
  readonly compileOutput: string;
  /** How many bytes came before them. */
  readonly compileOutputLost: number;
}

/** The bytes `[from, to)` of a stream. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** What arrived of an output stream. */
export interface KeptOutput {
  /** Everything but what is lost, without a mark where something is missing. */
  readonly bytes: Uint8Array;
  /** What was overwritten before it could be sent, by offset. */
  readonly lost: readonly ByteRange[];
}

/** A report with the output. */
export interface ExecutionResult extends ExecutionReport {
  readonly stdout: KeptOutput;
  readonly stderr: KeptOutput;
}
