import type { SandboxEvent } from "../../model/event.ts";
import type { ExecReport } from "../../model/exec.ts";
import type { SandboxId } from "../../model/ids.ts";
import type { UsageSample } from "../../model/usage.ts";

export interface MemoryKillsOptions {
  /** Called for each sandbox in which something was killed that no command's end accounts for. */
  readonly announce: (id: SandboxId) => void;
  /** Whether the sandbox's count has the kills of commands with a memory limit of their own, as version 2's has. */
  readonly countsOwnLimits: boolean;
}

/** How long after a kill the end of the command may be heard of that it belongs to. */
const PATIENCE_MS = 1000;

interface Account {
  /** What the kernel had counted at the last reading; undefined before the first. */
  counted: number | undefined;
  /** Kills that commands have told of since then. */
  told: number;
  /** Kills that nobody has told of yet. */
  open: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Finds the memory kills that no command is said to have ended or failed by: those of what was left in the background. Costs nothing
 * but to look at the usage that somebody asked for.
 */
export class MemoryKills {
  readonly #options: MemoryKillsOptions;
  readonly #since = new Date();
  readonly #accounts = new Map<SandboxId, Account>();

  constructor(options: MemoryKillsOptions) {
    this.#options = options;
  }

  /** Somebody has read a sandbox's usage. */
  sampled({ sandbox, oomKills }: Pick<UsageSample, "sandbox" | "oomKills">, createdAt: Date): void {
    if (oomKills === null) return;
    const account = this.#accountOf(sandbox);
    // What was counted before, an earlier daemon has told or not.
    const before = account.counted ?? (createdAt < this.#since ? oomKills : 0);
    // A start begins at 0 again.
    const risen = oomKills < before ? oomKills : oomKills - before;
    account.counted = oomKills;
    account.open += Math.max(0, risen - account.told);
    account.told = 0;
    if (account.open > 0) account.timer ??= setTimeout(() => this.#settle(sandbox, account), PATIENCE_MS).unref();
  }

  happened(event: SandboxEvent): void {
    if (event.type === "exec.ended") this.#ended(event.sandbox, event.report);
    if (event.type === "sandbox.state" && event.state.kind === "destroyed") this.#forget(event.sandbox);
  }

  close(): void {
    for (const id of [...this.#accounts.keys()]) this.#forget(id);
  }

  #accountOf(id: SandboxId): Account {
    const known = this.#accounts.get(id);
    if (known !== undefined) return known;
    const account: Account = { counted: undefined, told: 0, open: 0, timer: undefined };
    this.#accounts.set(id, account);
    return account;
  }

  /** One that went on regardless is told of no limit: the kill may have been anybody's who shares the count. */
  #ended(id: SandboxId, { limit, limitsMet, memoryPeakBytes }: ExecReport): void {
    const isCounted = memoryPeakBytes === undefined || this.#options.countsOwnLimits;
    if (limit !== "memory" || !isCounted) return;
    const account = this.#accountOf(id);
    const kills = limitsMet?.memoryKills ?? 0;
    const explained = Math.min(kills, account.open);
    account.open -= explained;
    account.told += kills - explained;
  }

  #settle(id: SandboxId, account: Account): void {
    account.timer = undefined;
    if (account.open === 0) return;
    account.open = 0;
    this.#options.announce(id);
  }

  #forget(id: SandboxId): void {
    clearTimeout(this.#accounts.get(id)?.timer);
    this.#accounts.delete(id);
  }
}
