import type {
  ExecFeed,
  ExecReport,
  ExecRequest,
  ExecSession,
  ExecSummary,
  OutputOffsets,
  OutputReading,
  ReadOptions,
  SignalScope,
  TerminalSize,
} from "../model/exec.ts";
import type { ExecId } from "../model/ids.ts";
import type { Sandbox, SandboxSpec } from "../model/sandbox.ts";

/**
 * What can be done with sandboxes; the HTTP API and one-shot `run` stand on it. `ref` is an id or a name.
 * Every method throws PlyboxError; `sandbox/not-found` where `ref` names none.
 */
export interface Sandboxes {
  /** Resolves when the sandbox's agent answers. Throws `sandbox/name-taken` when the name lives already. */
  create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox>;
  list(): readonly Sandbox[];
  /** A name is looked for among those of `tenant`, the default one where none is given; an id among all. */
  get(ref: string, tenant?: string): Sandbox;
  /**
   * Ends the sandbox's processes and removes everything of it. Concurrent calls share one removal. What it wrote goes to
   * object storage first, where that is to hold it and `save` is not false; it stays where that fails.
   */
  remove(ref: string, options?: { readonly save?: boolean }): Promise<void>;
  /** Starts a command. Throws `exec/…` errors when it cannot be started. */
  exec(ref: string, request: ExecRequest, signal?: AbortSignal): Promise<ExecSession>;
  execs(ref: string): Promise<readonly ExecSummary[]>;
  /** Listens again to a command, from the given offsets on. */
  attach(ref: string, exec: ExecId, from: OutputOffsets, signal?: AbortSignal): Promise<ExecSession>;
  /** Reads a command's output beside whoever listens to it. */
  read(ref: string, exec: ExecId, options: ReadOptions, signal?: AbortSignal): Promise<OutputReading>;
  /** Resolves when the command has ended; nobody who listens to it is disturbed. */
  wait(ref: string, exec: ExecId, signal?: AbortSignal): Promise<ExecReport>;
  /** Takes a command's stdin over. Throws `exec/refused` for a command that was started without. */
  input(ref: string, exec: ExecId, signal?: AbortSignal): Promise<ExecFeed>;
  /** Drops what the agent keeps of a command. Throws `exec/refused` while it runs. */
  forget(ref: string, exec: ExecId): Promise<void>;
  signal(ref: string, exec: ExecId, signal: string, scope: SignalScope): Promise<void>;
  /** Throws `exec/refused` for a command that has no terminal. */
  resize(ref: string, exec: ExecId, size: TerminalSize): Promise<void>;
}
