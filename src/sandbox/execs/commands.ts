import { KeyedLock } from "../../base/keyed-lock.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { SandboxEvent } from "../../model/event.ts";
import type {
  ExecReport,
  ExecRequest,
  ExecSession,
  ExecSummary,
  OutputOffsets,
  OutputReading,
  ReadOptions,
} from "../../model/exec.ts";
import type { ExecQuery, ExecRecord, NewExecRecord } from "../../model/exec-record.ts";
import type { ExecId, SandboxId } from "../../model/ids.ts";
import type { Agents } from "../agents.ts";
import type { Sandboxes } from "../sandboxes.ts";
import { STARTER } from "../start/start-commands.ts";
import { CommandEnds, isOpen, keyOf } from "./command-ends.ts";
import type { ExecHistory } from "./exec-history.ts";
import { replayedReading, replayedSession } from "./replayed-session.ts";

export interface CommandsOptions {
  readonly sandboxes: Pick<Sandboxes, "get" | "list" | "exec" | "execs" | "attach" | "read" | "wait" | "forget">;
  readonly agents: Pick<Agents, "announce">;
  readonly history: ExecHistory;
  readonly log: { warn(detail: object, message: string): void };
}

/** Who asks for a command, and how. */
export interface ExecOrigin {
  readonly by: string;
  readonly detached: boolean;
  /** Nobody learns of its id before its end, so that it may be written down while it runs already. */
  readonly isUntold?: boolean;
}

/** A command as it is now: what the history has of it, and what its agent says while it keeps it. */
export interface KnownExec {
  readonly record: ExecRecord;
  /** Undefined where the agent does not keep it any more, or cannot be asked now. */
  readonly summary: ExecSummary | undefined;
}

const START: OutputOffsets = { stdout: 0, stderr: 0 };

/**
 * Commands with a memory: each is written down before it is started and when it has ended, whoever listens, so that
 * it can be told of later, by a later daemon too, and so that a request that is repeated under one key starts it once.
 * One whose id nobody knows before its end is written down a little later, together with others.
 */
export class Commands {
  readonly #options: CommandsOptions;
  readonly #starting = new KeyedLock();
  readonly #ends: CommandEnds;

  constructor(options: CommandsOptions) {
    this.#options = options;
    this.#ends = new CommandEnds(options);
  }

  /** Starts a command. Throws as `Sandboxes.exec`; `exec/exists` also for one that its agent has forgotten. */
  async start(ref: string, request: ExecRequest, origin: ExecOrigin): Promise<ExecSession> {
    const { sandboxes } = this.#options;
    const { id } = sandboxes.get(ref);
    const record = newRecord(id, request, origin, null);
    if (origin.isUntold) {
      this.#ends.beginSoon(record);
    } else if (!this.#begin(record)) {
      throw new PlyboxError("exec/exists", `there has been a command ${request.exec} in this sandbox`, {
        field: "exec",
      });
    }
    return await this.#run(id, request, origin);
  }

  /**
   * Starts a command whose id stands for its idempotency key, or listens to the one that an earlier request started,
   * from its beginning. `isRepeated` says which.
   * @throws PlyboxError `exec/key-reused` when that request was another, `exec/unseen` when the end of its command is
   * not known
   */
  async startOnce(
    ref: string,
    request: ExecRequest,
    origin: ExecOrigin & { readonly digest: string },
  ): Promise<{ readonly session: ExecSession; readonly isRepeated: boolean }> {
    const { id } = this.#options.sandboxes.get(ref);
    return await this.#starting.run(keyOf(id, request.exec), async () => {
      const isNew = this.#begin(newRecord(id, request, origin, origin.digest));
      const record = isNew ? undefined : this.find(id, request.exec);
      if (record === undefined) return { session: await this.#run(id, request, origin), isRepeated: false };
      if (record.digest !== origin.digest) {
        throw new PlyboxError("exec/key-reused", "another request was sent under this idempotency key", {
          field: "idempotency-key",
        });
      }
      return await this.#repeat(id, request, origin, record);
    });
  }

  /** Listens to a command from the given offsets on; one that its agent has forgotten is told from the history. */
  async attach(ref: string, exec: ExecId, from: OutputOffsets, signal?: AbortSignal): Promise<ExecSession> {
    const { sandboxes } = this.#options;
    return await this.#output(ref, exec, {
      ask: async (id) => this.#ends.watch(id, await sandboxes.attach(id, exec, from, signal)),
      replay: (report, pid) => replayedSession(report, pid, from),
    });
  }

  /** Reads what is kept of a command's output, beside whoever listens; the same holds. */
  async read(ref: string, exec: ExecId, options: ReadOptions, signal?: AbortSignal): Promise<OutputReading> {
    const { sandboxes } = this.#options;
    return await this.#output(ref, exec, {
      ask: (id) => sandboxes.read(id, exec, options, signal),
      replay: (report, pid) => replayedReading(report, pid, options.from),
    });
  }

  /** Newest first. */
  async list(ref: string, query: ExecQuery): Promise<readonly KnownExec[]> {
    const { history, sandboxes } = this.#options;
    const { id } = sandboxes.get(ref);
    const summaries = await this.#ends.summaries(id);
    this.#ends.flush();
    return history.list(id, query).map((record) => ({ record, summary: summaries.get(record.exec) }));
  }

  /** @throws PlyboxError `exec/not-found` */
  async get(ref: string, exec: ExecId): Promise<KnownExec> {
    const { id } = this.#options.sandboxes.get(ref);
    const summaries = await this.#ends.summaries(id);
    const record = this.find(id, exec);
    if (record === undefined) throw notFound(exec);
    return { record, summary: summaries.get(exec) };
  }

  /** Resolves when the command has ended or cannot be heard of any more; rejects with the signal's reason. */
  async ended(ref: string, exec: ExecId, signal: AbortSignal): Promise<void> {
    const { id } = this.#options.sandboxes.get(ref);
    const record = this.find(id, exec);
    if (record === undefined) throw notFound(exec);
    if (!isOpen(record)) return;
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    signal.throwIfAborted();
    await Promise.race([this.#ends.awaitEnd(id, exec), aborted]);
  }

  /** @throws PlyboxError `exec/refused` while it runs */
  async forget(ref: string, exec: ExecId): Promise<void> {
    const { sandboxes } = this.#options;
    const { id, state } = sandboxes.get(ref);
    const record = this.find(id, exec);
    if (record === undefined) throw notFound(exec);
    if (state.kind === "running") {
      await sandboxes.forget(id, exec).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    }
    this.#ends.forget(id, exec);
  }

  find(id: SandboxId, exec: ExecId): ExecRecord | undefined {
    return this.#ends.find(id, exec);
  }

  /** Takes up what an earlier daemon left: to be called once the sandboxes are recovered. */
  async recover(): Promise<void> {
    await this.#ends.recover();
    for (const { id, state, start } of this.#options.sandboxes.list()) {
      if (state.kind === "running" && start?.status.kind === "running") this.#adopt(id, start.status.exec);
    }
  }

  /** To be told of everything that happens to the sandboxes. */
  happened(event: SandboxEvent): void {
    if (event.type === "exec.started") this.#adopt(event.sandbox, event.exec);
    if (event.type !== "sandbox.state") return;
    const { sandbox, state } = event;
    if (state.kind === "destroyed") this.#ends.forgetSandbox(sandbox);
    else if (state.kind === "running") this.#ends.awaitEnds(sandbox);
    else if (state.kind === "stopped" || state.kind === "failed" || state.kind === "lost") this.#ends.lose(sandbox);
  }

  /** Writes what has not been written, and waits for nothing more. Commands go on. */
  close(): void {
    this.#ends.close();
  }

  #begin(record: NewExecRecord): boolean {
    return this.#options.history.begin(record, new Date());
  }

  /** A start command is run by what looks after its sandbox, and is told of like any other. */
  #adopt(id: SandboxId, exec: ExecId): void {
    const { history, sandboxes } = this.#options;
    const { start } = sandboxes.get(id);
    if (start?.status.kind !== "running" || start.status.exec !== exec) return;
    const { command, cwd, user } = start;
    const request = { exec, command, ...(cwd !== undefined && { cwd }), ...(user !== undefined && { user }) };
    if (!this.#begin(newRecord(id, request, { by: STARTER, detached: true }, null))) return;
    if (start.status.pid !== null) history.started(id, exec, start.status.pid);
    void this.#ends.awaitEnd(id, exec);
  }

  async #run(id: SandboxId, request: ExecRequest, { by }: ExecOrigin): Promise<ExecSession> {
    const { sandboxes, agents } = this.#options;
    const { exec } = request;
    let session: ExecSession;
    try {
      session = await sandboxes.exec(id, request);
    } catch (error) {
      // Without the agent's answer nobody knows whether it runs: that is asked as soon as the agent answers again.
      if (error instanceof PlyboxError && error.code !== "agent/unreachable") this.#ends.forget(id, exec);
      else void this.#ends.awaitEnd(id, exec);
      throw error;
    }
    this.#ends.started(id, session);
    agents.announce(id, { type: "exec.started", exec, by });
    return this.#ends.watch(id, session);
  }

  /** From the agent, or what the history has where the agent keeps nothing. */
  async #output<T>(
    ref: string,
    exec: ExecId,
    { ask, replay }: { ask(id: SandboxId): Promise<T>; replay(report: ExecReport, pid: number): T },
  ): Promise<T> {
    const { id, state } = this.#options.sandboxes.get(ref);
    const record = this.find(id, exec);
    // What a sandbox has kept of its commands ends with its processes; those of a paused one are frozen.
    const isGone = state.kind !== "running" && state.kind !== "paused";
    if (record?.report && isGone) return replay(record.report, record.pid ?? 0);
    if (record?.phase === "unseen") throw unseen(exec);
    try {
      return await ask(id);
    } catch (error) {
      if (!isNotFound(error) || record === undefined) throw error;
      const known = this.find(id, exec)?.report;
      if (known) return replay(known, record.pid ?? 0);
      throw unseen(exec);
    }
  }

  async #repeat(
    id: SandboxId,
    request: ExecRequest,
    origin: ExecOrigin,
    record: ExecRecord,
  ): Promise<{ readonly session: ExecSession; readonly isRepeated: boolean }> {
    const { exec } = request;
    if (record.phase === "unseen") throw unseen(exec);
    if (record.phase !== "starting") return { session: await this.attach(id, exec, START), isRepeated: true };
    // It was written down, and perhaps never asked for. The agent refuses a second one of the same id.
    try {
      return { session: await this.#run(id, request, origin), isRepeated: false };
    } catch (error) {
      if (!(error instanceof PlyboxError) || error.code !== "exec/exists") throw error;
      this.#begin(newRecord(id, request, origin, record.digest));
      const session = await this.attach(id, exec, START);
      this.#options.history.started(id, exec, session.pid);
      return { session, isRepeated: true };
    }
  }
}

const isNotFound = (error: unknown): boolean => error instanceof PlyboxError && error.code === "exec/not-found";

const notFound = (exec: ExecId): PlyboxError =>
  new PlyboxError("exec/not-found", `there is no command ${exec} in this sandbox`, { field: "exec" });

const unseen = (exec: ExecId): PlyboxError =>
  new PlyboxError("exec/unseen", `nobody saw how ${exec} ended: what ran it is gone`, { field: "exec" });

function newRecord(
  sandbox: SandboxId,
  { exec, command, cwd, user, pty }: ExecRequest,
  { by, detached }: ExecOrigin,
  digest: string | null,
): NewExecRecord {
  return {
    sandbox,
    exec,
    by,
    command,
    detached,
    digest,
    cwd: cwd ?? null,
    user: user ?? null,
    pty: pty !== undefined,
  };
}
