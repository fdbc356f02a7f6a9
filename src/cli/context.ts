/** Signals that a caller sends to end or stop what runs. */
export type Interrupt = "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGQUIT";

/** Where interrupts come from: `process`, but for tests. */
export interface InterruptSource {
  on(signal: Interrupt, listener: (signal: Interrupt) => void): unknown;
  off(signal: Interrupt, listener: (signal: Interrupt) => void): unknown;
}

/** A stream that is written to: one of the process's own, or a test's. */
export interface Output extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** All of the outside world that a command sees. */
export interface CliContext {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: () => string;
  readonly now: () => Date;
  /** The caller's standard streams; opened when they are first asked for, which costs a start-up its share. */
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly interrupts: InterruptSource;
  /** What the process exits with; a command sets it where it is not 0. */
  exitCode: number;
}
