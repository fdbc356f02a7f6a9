import { PlyboxError } from "../model/errors.ts";
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
  readonly events: Events;
  readonly takesInput: boolean;
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
  read(sandbox: SandboxId, session: ExecSession, takesInput: boolean): Share {
    const entry = this.#add(sandbox, session, takesInput);
    entry.readers = 1;
    return this.#share(entry, "readers");
  }

  /**
   * Shares the command's session, or the one that `attach` makes; its output is thrown away while nobody reads.
   *
   * @throws PlyboxError `exec/refused` when the command was started without an open stdin
   */
  async write(sandbox: SandboxId, exec: ExecId, attach: () => Promise<ExecSession>): Promise<Share> {
    const existing = this.#entries.get(keyOf(sandbox, exec));
    if (existing?.takesInput === false) {
      throw new PlyboxError("exec/refused", 'stdin is not open; start the command with stdin "stream"');
    }
    const entry = existing ?? this.#add(sandbox, await attach(), true);
    entry.writers += 1;
    if (existing === undefined) void entry.events.discard();
    return this.#share(entry, "writers");
  }

  #add(sandbox: SandboxId, session: ExecSession, takesInput: boolean): Entry {
    const key = keyOf(sandbox, session.exec);
    const entry: Entry = { key, session, events: new Events(session), takesInput, readers: 0, writers: 0 };
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
        else if (role === "readers") void entry.events.discard();
      },
    };
  }

  #close(entry: Entry): void {
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
    entry.session.close();
  }
}

const keyOf = (sandbox: SandboxId, exec: ExecId): string => `${sandbox}/${exec}`;

/** A session's events, which have one reader and are asked for one at a time; `discard` takes a reader's place. */
export class Events implements AsyncIterator<ExecEvent> {
  readonly #source: AsyncIterator<ExecEvent>;
  #asked: Promise<unknown> = Promise.resolve();

  constructor(session: ExecSession) {
    this.#source = session[Symbol.asyncIterator]();
  }

  next(): Promise<IteratorResult<ExecEvent>> {
    const asked = this.#source.next();
    this.#asked = asked;
    return asked;
  }

  /** Takes events until there are no more. A failure shows in the writer's own calls. */
  async discard(): Promise<void> {
    try {
      await this.#asked;
      while (!(await this.next()).done);
    } catch {}
  }
}
