/** Why a sandbox has ended, or is ending. */
export type EndReason =
  | { readonly type: "asked" }
  /** The time that it was given is over. */
  | { readonly type: "lifetime"; readonly lifetimeMs: number }
  /** Nothing was done in it for so long. */
  | { readonly type: "idle"; readonly idleMs: number }
  /** Its PID 1 ended by itself; both are null where nobody saw how. */
  | { readonly type: "exited"; readonly code: number | null; readonly signal: string | null }
  /** Its start command is done, and it was to stop then. */
  | { readonly type: "start-command"; readonly code: number | null; readonly signal: string | null }
  /** The daemon ended while it was being made or started. */
  | { readonly type: "interrupted"; readonly during: "create" | "start" };

/** Why a sandbox does not work. */
export type FailureReason =
  /** It could not be started. */
  | {
      readonly type: "launch-failed";
      readonly message: string;
      /** The native step that failed, and its errno, where they are known. */
      readonly step: string | null;
      readonly errno: string | null;
    }
  /** Its agent broke the protocol, and was ended with everything that ran in the sandbox. */
  | { readonly type: "agent-misbehaved"; readonly message: string };

/** Why a sandbox cannot be had any more. */
export type LossReason =
  /** What it wrote is gone: an upper in memory, after the machine started anew. */
  | { readonly type: "upper-gone" }
  /** It cannot be taken over, for instance because a layer of it is missing. */
  | { readonly type: "unrecoverable"; readonly message: string };

export type StateReason = EndReason | FailureReason | LossReason;

/** The reason in words, to follow a colon. */
export function describeReason(reason: StateReason): string {
  switch (reason.type) {
    case "asked":
      return "somebody asked for it";
    case "lifetime":
      return `its lifetime of ${reason.lifetimeMs.toLocaleString("en")} ms is over`;
    case "idle":
      return `nothing was done in it for ${reason.idleMs.toLocaleString("en")} ms`;
    case "exited":
      return `its PID 1 ended with ${describeEnd(reason)}`;
    case "start-command":
      return `its start command ended with ${describeEnd(reason)}`;
    case "interrupted":
      return `the daemon ended during its ${reason.during}`;
    case "upper-gone":
      return "what it wrote was in memory, and is gone";
    case "launch-failed":
    case "agent-misbehaved":
    case "unrecoverable":
      return reason.message;
  }
}

const describeEnd = ({ code, signal }: { readonly code: number | null; readonly signal: string | null }): string =>
  signal ?? (code === null ? "an unseen code" : `exit code ${code}`);
