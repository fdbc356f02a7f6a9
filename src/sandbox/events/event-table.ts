import type { EventGap, LoggedEvent } from "../../model/event.ts";
import type { SandboxId, SandboxName } from "../../model/ids.ts";
import type { Labels } from "../../model/sandbox.ts";
import type { Database } from "../database.ts";
import type { EventFilter } from "./event-log.ts";

/** An event that has no id yet. */
export interface NewRow {
  readonly at: number;
  readonly tenant: string;
  /** "" for what is about no sandbox. */
  readonly sandbox: string;
  readonly name: string | null;
  /** JSON. */
  readonly labels: string;
  readonly type: string;
  /** JSON. */
  readonly data: string;
}

interface Row extends NewRow {
  readonly id: number;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, tenant TEXT NOT NULL, sandbox TEXT NOT NULL, name TEXT,
    labels TEXT NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS event_gaps (first INTEGER PRIMARY KEY, last INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS event_boot (boot TEXT NOT NULL, newest INTEGER NOT NULL) STRICT;
`;
const MATCHES = `(@tenant IS NULL OR tenant = @tenant) AND (@sandbox IS NULL OR sandbox = @sandbox)
  AND (@types IS NULL OR type IN (SELECT value FROM json_each(@types)))
  AND (@labels IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(@labels) AS wanted WHERE NOT EXISTS (
    SELECT 1 FROM json_each(events.labels) AS had
    WHERE had.key = wanted.value OR had.key || '=' || had.value = wanted.value)))`;
/**
 * A power cut may take back the last writes, which survive any other death; ids that readers may have been told then
 * stay unused. More than can be written between two moments at which the disk has everything.
 */
const SKIPPED_AFTER_BOOT = 1_000_000;
/** Events that are forgotten in one go: some milliseconds. */
const PRUNE_SLICE = 5000;

/** Events in the daemon's database. Their ids go on for ever; `event_gaps` and the oldest id say which are not there. */
export class EventTable {
  readonly #database: Database;
  readonly #insert;
  readonly #after;
  readonly #latest;
  readonly #gaps;
  readonly #reach;
  readonly #append;
  readonly #oldUntil;
  readonly #nth;
  #count: number;
  #newest: number;
  #oldest: number;

  constructor(database: Database, boot: string) {
    this.#database = database;
    database.exec(SCHEMA);
    this.#insert = database.prepare<Row>(
      `INSERT INTO events (id, at, tenant, sandbox, name, labels, type, data)
       VALUES (@id, @at, @tenant, @sandbox, @name, @labels, @type, @data)`,
    );
    this.#after = database.prepare<object, Row>(
      `SELECT * FROM events WHERE id > @after AND ${MATCHES} ORDER BY id LIMIT @limit`,
    );
    this.#latest = database.prepare<object, Row>(`SELECT * FROM events WHERE ${MATCHES} ORDER BY id DESC LIMIT @limit`);
    this.#gaps = database.prepare<[number], { first: number; last: number }>(
      "SELECT first, last FROM event_gaps WHERE last > ? ORDER BY first",
    );
    this.#oldUntil = database.prepare<[number], { id: number | null }>(
      `SELECT max(id) AS id FROM (SELECT id, at FROM events ORDER BY id LIMIT ${PRUNE_SLICE}) WHERE at < ?`,
    );
    this.#nth = database.prepare<[number], { id: number }>("SELECT id FROM events ORDER BY id LIMIT 1 OFFSET ?");
    this.#reach = database.prepare<[number]>("UPDATE event_boot SET newest = ?");
    this.#append = database.transaction((rows: readonly NewRow[], dropped: number) => this.#write(rows, dropped));
    this.#newest = this.#begin(boot);
    this.#oldest = this.#readOldest();
    this.#count = database.prepare<[], number>("SELECT count(*) FROM events").pluck().get() ?? 0;
  }

  get newest(): number {
    return this.#newest;
  }

  /** Written when it returns, all or nothing; `dropped` events before them were lost. */
  append(rows: readonly NewRow[], dropped: number): void {
    this.#newest = this.#append(rows, dropped);
    this.#count += rows.length;
  }

  after(after: number, filter: EventFilter, limit: number): readonly LoggedEvent[] {
    return this.#after.all({ after, limit, ...parametersOf(filter) }).map(eventOf);
  }

  latest(filter: EventFilter, limit: number): readonly LoggedEvent[] {
    return this.#latest
      .all({ limit, ...parametersOf(filter) })
      .map(eventOf)
      .reverse();
  }

  /** Which ids after `after` and up to the newest are not there. */
  gapsAfter(after: number): readonly EventGap[] {
    const pruned = after + 1 < this.#oldest ? [{ from: after + 1, to: this.#oldest - 1 }] : [];
    const lost = this.#gaps
      .all(Math.max(after, this.#oldest - 1))
      .map(({ first, last }) => ({ from: Math.max(first, after + 1), to: last }));
    return [...pruned, ...lost];
  }

  /**
   * Forgets all but the latest `count`, and those from before `time`, at most some thousands of them; answers whether
   * that were all.
   */
  prune(count: number, time: Date): boolean {
    // Found from the oldest on: it costs what goes, and not what stays.
    const old = this.#oldUntil.get(time.getTime())?.id ?? 0;
    const excess = Math.min(PRUNE_SLICE, this.#count - count);
    const surplus = excess > 0 ? (this.#nth.get(excess - 1)?.id ?? 0) : 0;
    const last = Math.max(old, surplus);
    if (last === 0) return true;
    const gone = this.#database.transaction(() => {
      this.#database.prepare("DELETE FROM event_gaps WHERE last <= ?").run(last);
      return this.#database.prepare("DELETE FROM events WHERE id <= ?").run(last).changes;
    })();
    this.#count -= gone;
    this.#oldest = this.#readOldest();
    return gone < PRUNE_SLICE;
  }

  /** Answers the id of the last one. */
  #write(rows: readonly NewRow[], dropped: number): number {
    let id = this.#newest + dropped;
    if (dropped > 0) this.#addGap(this.#newest + 1, id);
    for (const row of rows) {
      id += 1;
      this.#insert.run({ id, ...row });
    }
    this.#reach.run(id);
    return id;
  }

  #begin(boot: string): number {
    return this.#database.transaction(() => {
      const before = this.#database
        .prepare<[], { boot: string; newest: number }>("SELECT boot, newest FROM event_boot")
        .get();
      if (before?.boot === boot) return before.newest;
      const newest = before === undefined ? 0 : before.newest + SKIPPED_AFTER_BOOT;
      if (before !== undefined) this.#addGap(before.newest + 1, newest);
      this.#database.prepare("DELETE FROM event_boot").run();
      this.#database.prepare("INSERT INTO event_boot (boot, newest) VALUES (?, ?)").run(boot, newest);
      return newest;
    })();
  }

  #addGap(first: number, last: number): void {
    this.#database.prepare("INSERT INTO event_gaps (first, last) VALUES (?, ?)").run(first, last);
  }

  /** The first id that is kept or known to be lost; the next one where there is none. */
  #readOldest(): number {
    const { id } = this.#database
      .prepare<[], { id: number | null }>(
        "SELECT min(id) AS id FROM (SELECT min(id) AS id FROM events UNION ALL SELECT min(first) FROM event_gaps)",
      )
      .get() ?? { id: null };
    return id ?? this.#newest + 1;
  }
}

const parametersOf = ({ tenant, sandbox, types, labels }: EventFilter) => ({
  tenant: tenant ?? null,
  sandbox: sandbox ?? null,
  types: types === undefined ? null : JSON.stringify(types),
  labels: labels === undefined ? null : JSON.stringify(labels),
});

const eventOf = ({ id, type, at, sandbox, name, labels, tenant, data }: Row): LoggedEvent => ({
  id,
  type: type as LoggedEvent["type"],
  at: new Date(at),
  sandbox: sandbox === "" ? null : (sandbox as SandboxId),
  name: name as SandboxName | null,
  tenant,
  labels: JSON.parse(labels) as Labels,
  data: JSON.parse(data) as LoggedEvent["data"],
});
