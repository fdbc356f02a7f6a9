import type { ExecEvent, ExecSession } from "../model/exec.ts";
import type { ExecId, SandboxId } from "../model/ids.ts";

/** A share in a session: the session closes when the last share is released. */
export interface Share {
  readonly session: ExecSession;
  readonly events: AsyncIterator<ExecEvent>;
  /** Idempotent. */
  release(): void;
}

interface Entry {
  readonly key: string;
  readonly session: ExecSession;
  readonly events: AsyncIterator<ExecEvent>;
  readers: number;
  writers: number;
}

/**
 * The sessions through which commands can be fed. A command's output has one reader at a time, and a second attachment
 * would replace it; whoever writes stdin on another connection shares the reader's session instead.
 */
export class OpenSessions {
  readonly #entries = new Map<string, Entry>();

  /** Makes `session` the one of its command. */
  read(sandbox: SandboxId, session: ExecSession): Share {
    const entry = this.#add(sandbox, session);
    entry.readers = 1;
    return this.#share(entry, "readers");
  }

  /** Shares the command's session, or the one that `attach` makes; its output is thrown away while nobody reads. */
  async write(sandbox: SandboxId, exec: ExecId, attach: () => Promise<ExecSession>): Promise<Share> {
    const existing = this.#entries.get(keyOf(sandbox, exec));
    const entry = existing ?? this.#add(sandbox, await attach());
    entry.writers += 1;
    if (existing === undefined) void discard(entry.events);
    return this.#share(entry, "writers");
  }

  #add(sandbox: SandboxId, session: ExecSession): Entry {
    const key = keyOf(sandbox, session.exec);
    const entry: Entry = { key, session, events: session[Symbol.asyncIterator](), readers: 0, writers: 0 };
    this.#entries.set(key, entry);
    return entry;
  }

  #share(entry: Entry, role: "readers" | "writers"): Share {
    let held = true;
    return {
      session: entry.session,
      events: entry.events,
      release: () => {
        if (!held) return;
        held = false;
        entry[role] -= 1;
        if (entry.readers + entry.writers === 0) this.#close(entry);
        // The command must not stall on output that nobody takes while its stdin is still being fed.
        else if (role === "readers") void discard(entry.events);
      },
    };
  }

  #close(entry: Entry): void {
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
    entry.session.close();
  }
}

const keyOf = (sandbox: SandboxId, exec: ExecId): string => `${sandbox}/${exec}`;

/** Takes events until there are no more. A failure shows in the writer's own calls. */
export function discard(events: AsyncIterator<ExecEvent>): Promise<void> {
  const loop = async (): Promise<void> => {
    while (!(await events.next()).done);
  };
  return loop().catch(() => {});
}
