import type { ExecId } from "./ids.ts";

export type RestartPolicy = "never" | "on-failure" | "always";

/** What a user asks for. */
export interface StartCommandSpec {
  /** A program with its arguments, or one line for `/bin/sh -c`. */
  readonly command: readonly string[] | string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  /** Whether it is run again when it has ended; `never` by default. */
  readonly restart?: RestartPolicy;
  /** After so many restarts it is left as it ended; without end by default. */
  readonly maxRestarts?: number;
  /** Before the first restart; doubled with each that follows soon; 100 by default. */
  readonly backoffMs?: number;
  /** The longest that a restart is put off; 60,000 by default. */
  readonly maxBackoffMs?: number;
  /** What becomes of the sandbox when the command has ended for good; `keep` by default. */
  readonly whenDone?: "keep" | "stop";
}

/** How one run of a start command ended. */
export type StartEnd =
  | { readonly kind: "exited"; readonly code: number | null; readonly signal: string | null }
  /** It could not be started. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  /** It is gone, and nobody kept how it ended. */
  | { readonly kind: "unseen" };

export type StartStatus =
  /** The sandbox does not run. */
  | { readonly kind: "idle" }
  /** It runs under this id, or is about to where it has no pid yet. The pid is the sandbox's own. */
  | { readonly kind: "running"; readonly exec: ExecId; readonly pid: number | null }
  /** It is run again after this delay. */
  | { readonly kind: "waiting"; readonly delayMs: number }
  | { readonly kind: "done" };

/** A command that the daemon runs after each start of a sandbox. */
export interface StartCommand extends StartCommandSpec {
  readonly restart: RestartPolicy;
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  readonly whenDone: "keep" | "stop";
  readonly status: StartStatus;
  /** Since the sandbox was started. */
  readonly restarts: number;
  /** Restarts since it last ran for long; the delay grows with them. */
  readonly streak: number;
  readonly lastEnd: StartEnd | null;
}

/** What the times of a start command may be, both ends included. */
export const BACKOFF_BOUNDS = { min: 1, max: 86_400_000 } as const;
