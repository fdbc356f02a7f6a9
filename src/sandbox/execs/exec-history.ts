import type { ExecReport } from "../../model/exec.ts";
import type { ExecPhase, ExecQuery, ExecRecord, NewExecRecord } from "../../model/exec-record.ts";
import type { ExecId, SandboxId } from "../../model/ids.ts";
import type { Database } from "../database.ts";

/** What is kept of each sandbox's commands: those that ended longest ago go first. */
export interface HistoryBounds {
  readonly commands: number;
  readonly ageMs: number;
}

const BOUNDS: HistoryBounds = { commands: 10_000, ageMs: 30 * 24 * 3600 * 1000 };
/** A command line may be 1 MiB long; this much says which it was. */
const COMMAND_CHARACTERS = 4096;
/** How many commands begin between two looks at what is too old. */
const TRIM_EVERY = 2048;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS execs (
    seq INTEGER PRIMARY KEY, sandbox TEXT NOT NULL, exec TEXT NOT NULL, by TEXT NOT NULL,
    command TEXT NOT NULL, cwd TEXT, user TEXT, pty INTEGER NOT NULL, detached INTEGER NOT NULL, digest TEXT,
    started_at INTEGER NOT NULL, phase TEXT NOT NULL, pid INTEGER, ended_at INTEGER, ended_by TEXT, report TEXT,
    UNIQUE (sandbox, exec)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS execs_open ON execs (sandbox) WHERE phase IN ('starting', 'running');
`;

interface Row {
  readonly sandbox: string;
  readonly exec: string;
  readonly by: string;
  readonly command: string;
  readonly cwd: string | null;
  readonly user: string | null;
  readonly pty: number;
  readonly detached: number;
  readonly digest: string | null;
  readonly started_at: number;
  readonly phase: string;
  readonly pid: number | null;
  readonly ended_at: number | null;
  readonly report: string | null;
}

/** The commands of all sandboxes in the daemon's database: what each was, who asked for it, and how it ended. */
export class ExecHistory {
  readonly #bounds: HistoryBounds;
  readonly #statements;
  /** Several writes as one. */
  readonly together: (write: () => void) => void;
  #begun = 0;

  constructor(database: Database, bounds: HistoryBounds = BOUNDS) {
    database.exec(SCHEMA);
    this.#bounds = bounds;
    this.#statements = prepare(database);
    this.together = database.transaction((write: () => void) => write());
  }

  /** Written when it returns. Answers false, and writes nothing, where there is a command of this id. */
  begin(record: NewExecRecord, startedAt: Date): boolean {
    const { sandbox, exec, by, command, cwd, user, pty, detached, digest } = record;
    const { changes } = this.#statements.begin.run(
      ...[sandbox, exec, by, commandText(command), cwd, user, Number(pty), Number(detached), digest],
      startedAt.getTime(),
    );
    this.#begun += 1;
    if (this.#begun % TRIM_EVERY === 0) this.trim(sandbox, startedAt);
    return changes === 1;
  }

  /** It runs. */
  started(sandbox: SandboxId, exec: ExecId, pid: number): void {
    this.#statements.started.run(pid, sandbox, exec);
  }

  /** Answers false where its end is known already. */
  ended(sandbox: SandboxId, report: ExecReport, endedAt: Date): boolean {
    const { exec, limit } = report;
    return this.#statements.ended.run(endedAt.getTime(), limit, JSON.stringify(report), sandbox, exec).changes === 1;
  }

  /** Nobody can say any more how it ended. */
  unseen(sandbox: SandboxId, exec: ExecId, at: Date): void {
    this.#statements.unseen.run(at.getTime(), sandbox, exec);
  }

  forget(sandbox: SandboxId, exec: ExecId): void {
    this.#statements.forget.run(sandbox, exec);
  }

  /** With the sandbox goes all that was done in it. */
  forgetSandbox(sandbox: SandboxId): void {
    this.#statements.forgetSandbox.run(sandbox);
  }

  find(sandbox: SandboxId, exec: ExecId): ExecRecord | undefined {
    const row = this.#statements.find.get(sandbox, exec);
    return row && recordOf(row);
  }

  /** Newest first. */
  list(sandbox: SandboxId, { running, limit, since, after, count }: ExecQuery): readonly ExecRecord[] {
    const isOpen = running === undefined ? null : Number(running);
    return this.#statements.list
      .all({ sandbox, isOpen, limit: limit ?? null, since: since?.getTime() ?? null, after: after ?? null, count })
      .map(recordOf);
  }

  /** Commands whose end is not known, of all sandboxes, oldest first. */
  open(): readonly ExecRecord[] {
    return this.#statements.open.all().map(recordOf);
  }

  openOf(sandbox: SandboxId): readonly ExecRecord[] {
    return this.#statements.openOf.all(sandbox).map(recordOf);
  }

  /** Ids of the sandboxes that it knows commands of. */
  sandboxes(): readonly SandboxId[] {
    return this.#statements.sandboxes.all().map(({ sandbox }) => sandbox as SandboxId);
  }

  /** Forgets what is beyond the bounds; what runs is kept. */
  trim(sandbox: SandboxId, now: Date): void {
    this.#statements.trim.run({
      ...{ sandbox, before: now.getTime() - this.#bounds.ageMs },
      commands: this.#bounds.commands,
    });
  }
}

function prepare(database: Database) {
  const end = "phase IN ('starting', 'running')";
  return {
    begin: database.prepare(
      `INSERT OR IGNORE INTO execs (sandbox, exec, by, command, cwd, user, pty, detached, digest, started_at, phase)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'starting')`,
    ),
    started: database.prepare(
      "UPDATE execs SET phase = 'running', pid = ? WHERE sandbox = ? AND exec = ? AND phase = 'starting'",
    ),
    ended: database.prepare(
      `UPDATE execs SET phase = 'ended', ended_at = ?, ended_by = ?, report = ? WHERE sandbox = ? AND exec = ? AND ${end}`,
    ),
    unseen: database.prepare(
      `UPDATE execs SET phase = 'unseen', ended_at = ? WHERE sandbox = ? AND exec = ? AND ${end}`,
    ),
    forget: database.prepare("DELETE FROM execs WHERE sandbox = ? AND exec = ?"),
    forgetSandbox: database.prepare("DELETE FROM execs WHERE sandbox = ?"),
    find: database.prepare<[string, string], Row>("SELECT * FROM execs WHERE sandbox = ? AND exec = ?"),
    list: database.prepare<object, Row>(
      `SELECT * FROM execs WHERE sandbox = @sandbox AND (@isOpen IS NULL OR (${end}) = @isOpen)
       AND (@limit IS NULL OR ended_by = @limit) AND (@since IS NULL OR started_at >= @since)
       AND (@after IS NULL OR seq < (SELECT seq FROM execs WHERE sandbox = @sandbox AND exec = @after))
       ORDER BY seq DESC LIMIT @count`,
    ),
    open: database.prepare<[], Row>(`SELECT * FROM execs WHERE ${end} ORDER BY seq`),
    openOf: database.prepare<[string], Row>(`SELECT * FROM execs WHERE sandbox = ? AND ${end} ORDER BY seq`),
    sandboxes: database.prepare<[], { sandbox: string }>("SELECT DISTINCT sandbox FROM execs"),
    trim: database.prepare(
      `DELETE FROM execs WHERE sandbox = @sandbox AND NOT (${end}) AND (started_at < @before OR seq <=
       (SELECT seq FROM execs WHERE sandbox = @sandbox ORDER BY seq DESC LIMIT 1 OFFSET @commands))`,
    ),
  };
}

/** JSON of as much of the command as is kept. */
function commandText(command: readonly string[] | string): string {
  if (typeof command === "string") return JSON.stringify(cut(command, COMMAND_CHARACTERS));
  const words: string[] = [];
  let room = COMMAND_CHARACTERS;
  for (const word of command) {
    if (room <= 0) {
      words.push("…");
      break;
    }
    words.push(cut(word, room));
    room -= word.length + 1;
  }
  return JSON.stringify(words);
}

const cut = (text: string, length: number): string => (text.length <= length ? text : `${text.slice(0, length)}…`);

function recordOf(row: Row): ExecRecord {
  const { sandbox, exec, by, command, cwd, user, pty, detached, digest, started_at, phase, pid, ended_at, report } =
    row;
  return {
    sandbox: sandbox as SandboxId,
    exec: exec as ExecId,
    by,
    command: JSON.parse(command) as string | string[],
    ...{ cwd, user, digest, pid },
    pty: pty === 1,
    detached: detached === 1,
    startedAt: new Date(started_at),
    phase: phase as ExecPhase,
    endedAt: ended_at === null ? null : new Date(ended_at),
    report: report === null ? null : (JSON.parse(report) as ExecReport),
  };
}
