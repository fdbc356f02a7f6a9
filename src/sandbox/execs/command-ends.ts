import { setTimeout as delay } from "node:timers/promises";
import { sharedAbort } from "../../base/abort.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { ExecReport, ExecSession, ExecSummary } from "../../model/exec.ts";
import type { ExecRecord, NewExecRecord } from "../../model/exec-record.ts";
import type { ExecId, SandboxId } from "../../model/ids.ts";
import type { Agents } from "../agents.ts";
import type { Sandboxes } from "../sandboxes.ts";
import type { ExecHistory } from "./exec-history.ts";
import { WatchedSession } from "./watched-session.ts";

export interface CommandEndsOptions {
  readonly sandboxes: Pick<Sandboxes, "get" | "list" | "execs" | "wait">;
  readonly agents: Pick<Agents, "announce">;
  readonly history: ExecHistory;
  readonly log: { warn(detail: object, message: string): void };
}

/** How soon an agent that did not answer is asked again. */
const RETRY_MS = 500;
/** Writes wait so long for more: of commands that end at once many cost one of them. */
const FLUSH_MS = 20;

/**
 * What becomes of the commands that were started: hears their ends from whoever listens to them, or asks their agents
 * itself, also after a daemon that died, and writes them down and announces them once.
 */
export class CommandEnds {
  readonly #options: CommandEndsOptions;
  /** Commands whose ends are waited for here, each under its sandbox and id. */
  readonly #waits = new Map<string, Promise<void>>();
  readonly #closing = sharedAbort();
  /** Of commands that nobody knows yet, and of which a death may take the rows. */
  readonly #begun = new Map<string, { readonly record: NewExecRecord; readonly at: Date }>();
  /** Writes that a death may take: a later daemon asks the agent. */
  readonly #started = new Map<string, { sandbox: SandboxId; exec: ExecId; pid: number }>();
  /** Commands that this daemon has started and whose end nobody has been told of. */
  readonly #untold = new Set<string>();
  #endings: { readonly id: SandboxId; readonly report: ExecReport; readonly at: Date; readonly isTold: boolean }[] = [];
  #flushing: NodeJS.Timeout | undefined;

  constructor(options: CommandEndsOptions) {
    this.#options = options;
  }

  /** What the history has of a command, with all that is known by now. */
  find(id: SandboxId, exec: ExecId): ExecRecord | undefined {
    this.flush();
    return this.#options.history.find(id, exec);
  }

  /** It is about to be started, under an id that is new. */
  beginSoon(record: NewExecRecord): void {
    this.#begun.set(keyOf(record.sandbox, record.exec), { record, at: new Date() });
    this.#flushSoon();
  }

  /** There is none of it, and never was. */
  forget(id: SandboxId, exec: ExecId): void {
    this.#begun.delete(keyOf(id, exec));
    this.#options.history.forget(id, exec);
  }

  forgetSandbox(id: SandboxId): void {
    this.flush();
    this.#options.history.forgetSandbox(id);
  }

  /** Its agent has started it. */
  started(id: SandboxId, { exec, pid }: ExecSession): void {
    const key = keyOf(id, exec);
    this.#started.set(key, { sandbox: id, exec, pid });
    this.#untold.add(key);
    this.#flushSoon();
  }

  /** The same session; the command's end is known from it, or waited for once nobody reads it any more. */
  watch(id: SandboxId, session: ExecSession): ExecSession {
    return new WatchedSession(session, {
      // Written once whoever waits for the end has it on the way: a later daemon would ask the agent.
      onExit: (report) => {
        const isTold = this.#untold.delete(keyOf(id, report.exec));
        this.#endings.push({ id, report, at: new Date(), isTold });
        this.#flushSoon();
        // Before anything that happens next, and behind the answer to whoever waits.
        if (isTold) setImmediate(() => this.#tell(id, report));
      },
      onLeft: () => void this.awaitEnd(id, session.exec),
    });
  }

  /** Resolves when the end is written down, or cannot be heard of for now. */
  awaitEnd(id: SandboxId, exec: ExecId): Promise<void> {
    const key = keyOf(id, exec);
    const known = this.#waits.get(key);
    if (known !== undefined) return known;
    const wait = this.#hear(id, exec).finally(() => this.#waits.delete(key));
    this.#waits.set(key, wait);
    return wait;
  }

  awaitEnds(id: SandboxId): void {
    this.flush();
    for (const { exec, phase } of this.#options.history.openOf(id)) {
      if (phase === "running") void this.awaitEnd(id, exec);
    }
  }

  /** What ran the sandbox's commands is gone. */
  lose(id: SandboxId): void {
    const { history } = this.#options;
    this.flush();
    for (const { exec, phase } of history.openOf(id)) {
      this.#untold.delete(keyOf(id, exec));
      if (phase === "starting") history.forget(id, exec);
      else history.unseen(id, exec, new Date());
    }
  }

  /** What the agent says of its commands; nothing where it cannot be asked without waking it. */
  async summaries(id: SandboxId): Promise<ReadonlyMap<ExecId, ExecSummary>> {
    const { sandboxes } = this.#options;
    if (sandboxes.get(id).state.kind !== "running") return new Map();
    const summaries = await sandboxes.execs(id);
    for (const { report } of summaries) if (report !== null) this.#ended(id, report);
    return new Map(summaries.map((summary) => [summary.exec, summary]));
  }

  /** Takes up what an earlier daemon left: to be called once the sandboxes are recovered. */
  async recover(): Promise<void> {
    const { history, sandboxes } = this.#options;
    const living = new Map(sandboxes.list().map((sandbox) => [sandbox.id, sandbox]));
    for (const id of history.sandboxes()) if (!living.has(id)) history.forgetSandbox(id);
    const open = new Set(history.open().map(({ sandbox }) => sandbox));
    await Promise.all([...open].map((id) => this.#recover(id, living.get(id)?.state.kind ?? "destroyed")));
  }

  /** Writes what has waited for more. */
  flush(): void {
    clearTimeout(this.#flushing);
    this.#flushing = undefined;
    const { history } = this.#options;
    const begun = [...this.#begun.values()];
    const started = [...this.#started.values()];
    const endings = this.#endings;
    if (begun.length + started.length + endings.length === 0) return;
    this.#begun.clear();
    this.#started.clear();
    this.#endings = [];
    const untold: [SandboxId, ExecReport][] = [];
    history.together(() => {
      for (const { record, at } of begun) history.begin(record, at);
      for (const { sandbox, exec, pid } of started) history.started(sandbox, exec, pid);
      for (const { id, report, at, isTold } of endings) {
        if (history.ended(id, report, at) && !isTold) untold.push([id, report]);
      }
    });
    for (const [id, report] of untold) this.#tell(id, report);
  }

  /** Writes what has not been written, and waits for nothing more. Commands go on. */
  close(): void {
    this.flush();
    this.#closing.abort();
  }

  #flushSoon(): void {
    if (this.#closing.signal.aborted) return;
    this.#flushing ??= setTimeout(() => this.flush(), FLUSH_MS).unref();
  }

  #ended(id: SandboxId, report: ExecReport): void {
    if (this.#closing.signal.aborted) return;
    this.flush();
    if (!this.#options.history.ended(id, report, new Date())) return;
    this.#untold.delete(keyOf(id, report.exec));
    this.#tell(id, report);
  }

  #tell(id: SandboxId, report: ExecReport): void {
    const { agents } = this.#options;
    try {
      agents.announce(id, { type: "exec.ended", exec: report.exec, report });
      if (report.limit !== null) agents.announce(id, { type: "limit.reached", limit: report.limit, exec: report.exec });
    } catch {
      // The sandbox went with it: there is nobody to tell of.
    }
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
    this.#untold.delete(keyOf(id, exec));
    if (this.find(id, exec)?.phase === "starting") history.forget(id, exec);
    else history.unseen(id, exec, new Date());
  }

  async #recover(id: SandboxId, state: string): Promise<void> {
    const { sandboxes, history, log } = this.#options;
    if (state === "paused") return;
    if (state !== "running") return this.lose(id);
    let summaries: readonly ExecSummary[];
    try {
      summaries = await sandboxes.execs(id);
    } catch (err) {
      log.warn({ sandbox: id, err }, "the commands of a sandbox cannot be asked for yet");
      return this.awaitEnds(id);
    }
    const known = new Map(summaries.map((summary) => [summary.exec, summary]));
    for (const { exec } of history.openOf(id)) {
      const summary = known.get(exec);
      if (summary === undefined) this.#gone(id, exec);
      else {
        history.started(id, exec, summary.pid);
        if (summary.report !== null) this.#ended(id, summary.report);
        else void this.awaitEnd(id, exec);
      }
    }
  }
}

export const keyOf = (sandbox: SandboxId, exec: ExecId): string => `${sandbox}/${exec}`;

export const isOpen = (record: ExecRecord | undefined): boolean =>
  record?.phase === "starting" || record?.phase === "running";
