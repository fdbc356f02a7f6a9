import { setTimeout as delay } from "node:timers/promises";
import { KeyedLock } from "../../base/keyed-lock.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { SandboxEvent } from "../../model/event.ts";
import type { ExecReport, ExecRequest, ExecSession, ExecSummary, OutputOffsets } from "../../model/exec.ts";
import type { ExecQuery, ExecRecord, NewExecRecord } from "../../model/exec-record.ts";
import type { ExecId, SandboxId } from "../../model/ids.ts";
import type { Agents } from "../agents.ts";
import type { Sandboxes } from "../sandboxes.ts";
import { STARTER } from "../start/start-commands.ts";
import type { ExecHistory } from "./exec-history.ts";
import { replayedSession } from "./replayed-session.ts";
import { watchedSession } from "./watched-session.ts";

export interface CommandsOptions {
  readonly sandboxes: Pick<Sandboxes, "get" | "list" | "exec" | "execs" | "attach" | "wait" | "forget">;
  readonly agents: Pick<Agents, "announce">;
  readonly history: ExecHistory;
  readonly log: { warn(detail: object, message: string): void };
}

/** Who asks for a command, and how. */
export interface ExecOrigin {
  readonly by: string;
  readonly detached: boolean;
}

/** A command as it is now: what the history has of it, and what its agent says while it keeps it. */
export interface KnownExec {
  readonly record: ExecRecord;
  /** Undefined where the agent does not keep it any more, or cannot be asked now. */
  readonly summary: ExecSummary | undefined;
}

/** How soon an agent that did not answer is asked again. */
const RETRY_MS = 500;
/** Writes wait so long for more: a command that ends at once costs one of them. */
const FLUSH_MS = 5;
const START: OutputOffsets = { stdout: 0, stderr: 0 };

/**
 * Commands with a memory: each is written down before it is started and when it has ended, whoever listens, so that
 * it can be told of later, by a later daemon too, and so that a request that is repeated under one key starts it once.
 */
export class Commands {
  readonly #options: CommandsOptions;
  readonly #starting = new KeyedLock();
  /** Commands whose ends are waited for here, each under its sandbox and id. */
  readonly #waits = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();
  /** Writes that a death may take: a later daemon asks the agent. */
  readonly #started = new Map<string, { sandbox: SandboxId; exec: ExecId; pid: number }>();
  #endings: { readonly id: SandboxId; readonly report: ExecReport; readonly at: Date }[] = [];
  #flushing: NodeJS.Timeout | undefined;

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  /** Starts a command. Throws as `Sandboxes.exec`; `exec/exists` also for one that its agent has forgotten. */
  async start(ref: string, request: ExecRequest, origin: ExecOrigin): Promise<ExecSession> {
    const { sandboxes } = this.#options;
    const { id } = sandboxes.get(ref);
    if (!this.#begin(newRecord(id, request, origin, null))) {
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
    const { id, state } = sandboxes.get(ref);
    const record = this.find(id, exec);
    // What a sandbox has kept of its commands ends with its processes.
    if (record?.report && state.kind !== "running") return replay(record, record.report, from);
    try {
      return this.#watch(id, await sandboxes.attach(id, exec, from, signal));
    } catch (error) {
      if (!isNotFound(error) || record === undefined) throw error;
      const known = this.find(id, exec)?.report;
      if (known) return replay(record, known, from);
      throw unseen(exec);
    }
  }

  /** Newest first. */
  async list(ref: string, query: ExecQuery): Promise<readonly KnownExec[]> {
    const { history, sandboxes } = this.#options;
    const { id } = sandboxes.get(ref);
    const summaries = await this.#summaries(id);
    this.#flush();
    return history.list(id, query).map((record) => ({ record, summary: summaries.get(record.exec) }));
  }

  /** @throws PlyboxError `exec/not-found` */
  async get(ref: string, exec: ExecId): Promise<KnownExec> {
    const { id } = this.#options.sandboxes.get(ref);
    const summaries = await this.#summaries(id);
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
    await Promise.race([this.#awaitEnd(id, exec), aborted]);
  }

  /** @throws PlyboxError `exec/refused` while it runs */
  async forget(ref: string, exec: ExecId): Promise<void> {
    const { sandboxes, history } = this.#options;
    const { id, state } = sandboxes.get(ref);
    const record = this.find(id, exec);
    if (record === undefined) throw notFound(exec);
    if (state.kind === "running") {
      await sandboxes.forget(id, exec).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    }
    history.forget(id, exec);
  }

  find(id: SandboxId, exec: ExecId): ExecRecord | undefined {
    this.#flush();
    return this.#options.history.find(id, exec);
  }

  /** Takes up what an earlier daemon left: to be called once the sandboxes are recovered. */
  async recover(): Promise<void> {
    const { history, sandboxes } = this.#options;
    const living = new Map(sandboxes.list().map((sandbox) => [sandbox.id, sandbox]));
    for (const id of history.sandboxes()) if (!living.has(id)) history.forgetSandbox(id);
    const open = new Set(history.open().map(({ sandbox }) => sandbox));
    await Promise.all([...open].map((id) => this.#recover(id, living.get(id)?.state.kind ?? "destroyed")));
    for (const { id, state, start } of sandboxes.list()) {
      if (state.kind === "running" && start?.status.kind === "running") this.#adopt(id, start.status.exec);
    }
  }

  /** To be told of everything that happens to the sandboxes. */
  happened(event: SandboxEvent): void {
    if (event.type === "exec.started") this.#adopt(event.sandbox, event.exec);
    if (event.type !== "sandbox.state") return;
    const { sandbox, state } = event;
    if (state.kind === "destroyed") this.#options.history.forgetSandbox(sandbox);
    else if (state.kind === "running") this.#awaitAll(sandbox);
    else if (state.kind === "stopped" || state.kind === "failed" || state.kind === "lost") this.#lose(sandbox);
  }

  /** Writes what has not been written, and waits for nothing more. Commands go on. */
  close(): void {
    this.#flush();
    this.#closing.abort();
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
    void this.#awaitEnd(id, exec);
  }

  async #run(id: SandboxId, request: ExecRequest, { by }: ExecOrigin): Promise<ExecSession> {
    const { sandboxes, agents, history } = this.#options;
    const { exec } = request;
    let session: ExecSession;
    try {
      session = await sandboxes.exec(id, request);
    } catch (error) {
      // Without the agent's answer nobody knows whether it runs: that is asked as soon as the agent answers again.
      if (error instanceof PlyboxError && error.code !== "agent/unreachable") history.forget(id, exec);
      else void this.#awaitEnd(id, exec);
      throw error;
    }
    this.#started.set(keyOf(id, exec), { sandbox: id, exec, pid: session.pid });
    this.#flushing ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
    agents.announce(id, { type: "exec.started", exec, by });
    return this.#watch(id, session);
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

  #watch(id: SandboxId, session: ExecSession): ExecSession {
    return watchedSession(session, {
      // Written once whoever waits for the end has it on the way: a later daemon would ask the agent.
      onExit: (report) => {
        this.#endings.push({ id, report, at: new Date() });
        this.#flushing ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
      },
      onLeft: () => void this.#awaitEnd(id, session.exec),
    });
  }

  #ended(id: SandboxId, report: ExecReport, at = new Date()): void {
    const { history, agents } = this.#options;
    if (this.#closing.signal.aborted) return;
    this.#flush();
    if (!history.ended(id, report, at)) return;
    try {
      agents.announce(id, { type: "exec.ended", exec: report.exec, report });
      if (report.limit !== null) agents.announce(id, { type: "limit.reached", limit: report.limit, exec: report.exec });
    } catch {
      // The sandbox went with it: there is nobody to tell of.
    }
  }

  /** Resolves when the end is written down, or cannot be heard of for now. */
  #awaitEnd(id: SandboxId, exec: ExecId): Promise<void> {
    const key = keyOf(id, exec);
    const known = this.#waits.get(key);
    if (known !== undefined) return known;
    const wait = this.#hear(id, exec).finally(() => this.#waits.delete(key));
    this.#waits.set(key, wait);
    return wait;
  }

  async #hear(id: SandboxId, exec: ExecId): Promise<void> {
    const { sandboxes, log } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted && isOpen(this.find(id, exec))) {
      try {
        this.#ended(id, await sandboxes.wait(id, exec, signal));
        return;
      } catch (error) {
        if (signal.aborted) return;
        const code = error instanceof PlyboxError ? error.code : undefined;
        if (code === "exec/not-found") return this.#gone(id, exec);
        // What happens to the sandbox next says what becomes of the command.
        if (code?.startsWith("sandbox/")) return;
        if (code !== "agent/unreachable") {
          log.warn({ sandbox: id, exec, err: error }, "the end of a command cannot be awaited");
          return;
        }
        await delay(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
      }
    }
  }

  /** Its agent does not know it: it was never started, or ended and was forgotten while nobody listened. */
  #gone(id: SandboxId, exec: ExecId): void {
    const { history } = this.#options;
    if (this.find(id, exec)?.phase === "starting") history.forget(id, exec);
    else history.unseen(id, exec, new Date());
  }

  #awaitAll(id: SandboxId): void {
    for (const { exec, phase } of this.#options.history.openOf(id)) {
      if (phase === "running") void this.#awaitEnd(id, exec);
    }
  }

  #lose(id: SandboxId): void {
    const { history } = this.#options;
    this.#flush();
    for (const { exec, phase } of history.openOf(id)) {
      if (phase === "starting") history.forget(id, exec);
      else history.unseen(id, exec, new Date());
    }
  }

  async #recover(id: SandboxId, state: string): Promise<void> {
    const { sandboxes, history, log } = this.#options;
    if (state === "paused") return;
    if (state !== "running") return this.#lose(id);
    let summaries: readonly ExecSummary[];
    try {
      summaries = await sandboxes.execs(id);
    } catch (err) {
      log.warn({ sandbox: id, err }, "the commands of a sandbox cannot be asked for yet");
      return this.#awaitAll(id);
    }
    const known = new Map(summaries.map((summary) => [summary.exec, summary]));
    for (const { exec } of history.openOf(id)) {
      const summary = known.get(exec);
      if (summary === undefined) this.#gone(id, exec);
      else {
        history.started(id, exec, summary.pid);
        if (summary.report !== null) this.#ended(id, summary.report);
        else void this.#awaitEnd(id, exec);
      }
    }
  }

  /** What the agent says of its commands; nothing where it cannot be asked without waking it. */
  async #summaries(id: SandboxId): Promise<ReadonlyMap<ExecId, ExecSummary>> {
    const { sandboxes } = this.#options;
    if (sandboxes.get(id).state.kind !== "running") return new Map();
    const summaries = await sandboxes.execs(id);
    for (const { report } of summaries) if (report !== null) this.#ended(id, report);
    return new Map(summaries.map((summary) => [summary.exec, summary]));
  }

  #flush(): void {
    clearTimeout(this.#flushing);
    this.#flushing = undefined;
    const { history } = this.#options;
    const started = [...this.#started.values()];
    const endings = this.#endings;
    if (started.length + endings.length === 0) return;
    this.#started.clear();
    this.#endings = [];
    history.together(() => {
      for (const { sandbox, exec, pid } of started) history.started(sandbox, exec, pid);
      for (const { id, report, at } of endings) this.#ended(id, report, at);
    });
  }
}

const keyOf = (sandbox: SandboxId, exec: ExecId): string => `${sandbox}/${exec}`;

const isOpen = (record: ExecRecord | undefined): boolean => record?.phase === "starting" || record?.phase === "running";

const isNotFound = (error: unknown): boolean => error instanceof PlyboxError && error.code === "exec/not-found";

const notFound = (exec: ExecId): PlyboxError =>
  new PlyboxError("exec/not-found", `there is no command ${exec} in this sandbox`, { field: "exec" });

const unseen = (exec: ExecId): PlyboxError =>
  new PlyboxError("exec/unseen", `nobody saw how ${exec} ended: what ran it is gone`, { field: "exec" });

const replay = (record: ExecRecord, report: ExecReport, from: OutputOffsets): ExecSession =>
  replayedSession(report, record.pid ?? 0, from);

function newRecord(
  sandbox: SandboxId,
  { exec, command, cwd, user, pty }: ExecRequest,
  { by, detached }: ExecOrigin,
  digest: string | null,
): NewExecRecord {
  return {
    ...{ sandbox, exec, by, command, detached, digest },
    cwd: cwd ?? null,
    user: user ?? null,
    pty: pty !== undefined,
  };
}
