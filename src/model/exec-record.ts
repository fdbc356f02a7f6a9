import type { ExecReport } from "./exec.ts";
import type { ExecId, SandboxId } from "./ids.ts";

/**
 * Where a command is in its life. `starting`: asked for, and not yet known to run. `unseen`: it is gone with what ran
 * it, and nobody saw how it ended.
 */
export type ExecPhase = "starting" | "running" | "ended" | "unseen";

/** What the daemon keeps of a command beyond the agent's memory and its own life. */
export interface ExecRecord {
  readonly sandbox: SandboxId;
  readonly exec: ExecId;
  /** Name of the key that asked, or `local`. */
  readonly by: string;
  /** A program with its arguments, or one line for the shell; cut short where it is long. */
  readonly command: readonly string[] | string;
  readonly cwd: string | null;
  readonly user: string | null;
  readonly pty: boolean;
  readonly detached: boolean;
  /** Of the request that was sent under an idempotency key. */
  readonly digest: string | null;
  readonly startedAt: Date;
  readonly phase: ExecPhase;
  /** Inside the sandbox; null until it runs. */
  readonly pid: number | null;
  readonly endedAt: Date | null;
  readonly report: ExecReport | null;
}

/** What is known of a command when it is asked for. */
export type NewExecRecord = Omit<ExecRecord, "startedAt" | "phase" | "pid" | "endedAt" | "report">;

/** Which commands to list; newest first. */
export interface ExecQuery {
  readonly running?: boolean;
  /** Those that this limit ended. */
  readonly limit?: string;
  /** Those that were started then or later. */
  readonly since?: Date;
  /** Those that were started before this one. */
  readonly after?: ExecId;
  readonly count: number;
}
