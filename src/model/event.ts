import type { ExecReport } from "./exec.ts";
import type { ExecId, SandboxId } from "./ids.ts";
import type { SandboxState } from "./sandbox.ts";

/** Something that happened to a sandbox. */
export type SandboxEvent = { readonly sandbox: SandboxId; readonly tenant: string; readonly at: Date } & EventBody;

/** What happened; `type` is what subscribers filter by. */
export type EventBody =
  /** It entered a state; `reason` says why where it was not asked for. */
  | { readonly type: "sandbox.state"; readonly state: SandboxState; readonly reason: string | null }
  | { readonly type: "exec.started"; readonly exec: ExecId; readonly by: string }
  | { readonly type: "exec.ended"; readonly exec: ExecId; readonly report: ExecReport }
  /** A limit of the sandbox or of one command ended something. */
  | { readonly type: "limit.reached"; readonly limit: string; readonly exec: ExecId | null }
  /** A file was written, moved or removed through the API. */
  | { readonly type: "file.changed"; readonly change: "written" | "moved" | "removed"; readonly path: string };
