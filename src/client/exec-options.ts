import type { ExecBody, ExecListView } from "../api/contract.ts";
import type { ExecLimit } from "../model/exec.ts";
import { encodeBase64 } from "./base64.ts";
import type { CallOptions } from "./connection.ts";
import type { Encoding, OutputListener } from "./exec-result.ts";

/** What every way of running a command takes. */
export interface CommandOptions extends CallOptions {
  /** Absolute working directory; the user's home by default. */
  readonly cwd?: string;
  /** Added to the sandbox's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** `name`, `uid`, `name:group` or `uid:gid`; root by default. */
  readonly user?: string;
  /** Write stderr to stdout's stream, in order. */
  readonly merge?: boolean;
  /** Run on a terminal of this size: its output is stdout, and it is fed as with `stdin: true`. */
  readonly pty?: { readonly columns: number; readonly rows: number };
  /** Wall time after which the command is ended. */
  readonly timeLimitMs?: number;
  /** Processor time of all that the command starts, after which it is ended. */
  readonly cpuTimeLimitMs?: number;
  /** Processes and threads at once; what is more is not started. */
  readonly processLimit?: number;
  /**
   * Memory of all that the command starts, from 1 MiB, beyond which the kernel kills the largest process of it; refused
   * as `host/missing` where the host cannot limit it.
   */
  readonly memoryLimitBytes?: number;
  /** Bytes of stdout and stderr together after which the command is ended. */
  readonly outputLimitBytes?: number;
  /** What the sandbox keeps of each stream for a later reader; 1 MiB by default. */
  readonly ringBytes?: number;
  /** The command's id, `ex_` and 26 characters of Crockford base32: a second command of the same id is refused. */
  readonly exec?: string;
  /**
   * 1 to 255 printable characters that make a repetition of the call mean the same command: it is started once. With it
   * the call itself is repeated while the daemon does not answer.
   */
  readonly idempotencyKey?: string;
  /**
   * For how long a daemon that went away is looked for, to go on with the command's output where it was; 60,000 ms by
   * default. With 0 the first loss of the connection ends the following.
   */
  readonly reconnectMs?: number;
  /** An abort ends the command (SIGKILL to all that it started) and throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A program with its arguments, or one line for `/bin/sh -c`. */
export type CommandLine = string | readonly string[];

export interface ExecOptions<E extends Encoding = "utf8"> extends CommandOptions {
  /** What the command reads; nothing by default. */
  readonly stdin?: string | Uint8Array;
  /** How output is given: `utf8` text (default) or `bytes`. */
  readonly encoding?: E;
  readonly onStdout?: OutputListener<E>;
  readonly onStderr?: OutputListener<E>;
}

export interface SpawnOptions extends CommandOptions {
  /** What the command reads, or `true` to feed it with `write` and `end`; nothing by default. */
  readonly stdin?: string | Uint8Array | true;
}

export interface TerminalOptions extends Omit<CommandOptions, "merge" | "pty"> {
  /** The user's shell by default. */
  readonly command?: CommandLine;
  /** 80 by default. */
  readonly columns?: number;
  /** 24 by default. */
  readonly rows?: number;
}

/** A command that the sandbox still knows. */
export type ExecSummary = ExecListView["execs"][number];

/** Which commands to list. */
export interface ListExecsOptions extends CallOptions {
  /** Only those that run, or only those that have ended. */
  readonly running?: boolean;
  /** Only those that this limit ended. */
  readonly limit?: ExecLimit;
  /** Only those that were started then or later. */
  readonly since?: Date;
  /** Only those that were started before this one. */
  readonly after?: string;
  /** 100 by default, 1,000 at most. */
  readonly count?: number;
}

/** How a command is followed. */
export interface FollowCommandOptions extends CallOptions {
  /**
   * Follow beside others: nobody's place is taken, and the command does not wait. What a slow follower misses comes as
   * `lost`, also in the middle.
   */
  readonly shared?: boolean;
  /** For how long a daemon that went away is looked for; 60,000 ms by default, 0 for not at all. */
  readonly reconnectMs?: number;
}

/** The options that go into the request as they are. */
export function execBody(command: CommandLine | undefined, options: CommandOptions): ExecBody {
  const { cwd, env, user, merge, pty, timeLimitMs, outputLimitBytes, ringBytes, exec } = options;
  const { cpuTimeLimitMs, processLimit, memoryLimitBytes } = options;
  return {
    ...(command !== undefined && { command: typeof command === "string" ? command : [...command] }),
    ...(cwd !== undefined && { cwd }),
    ...(env !== undefined && { env }),
    ...(user !== undefined && { user }),
    ...(merge !== undefined && { merge }),
    ...(pty !== undefined && { pty }),
    ...(timeLimitMs !== undefined && { timeLimitMs }),
    ...(cpuTimeLimitMs !== undefined && { cpuTimeLimitMs }),
    ...(processLimit !== undefined && { processLimit }),
    ...(memoryLimitBytes !== undefined && { memoryLimitBytes }),
    ...(outputLimitBytes !== undefined && { outputLimitBytes }),
    ...(ringBytes !== undefined && { ringBytes }),
    ...(exec !== undefined && { exec }),
  };
}

export const stdinBody = (stdin: string | Uint8Array): { text: string } | { base64: string } =>
  typeof stdin === "string" ? { text: stdin } : { base64: encodeBase64(stdin) };
