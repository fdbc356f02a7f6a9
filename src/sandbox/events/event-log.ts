import { readFileSync } from "node:fs";
import { Emitter } from "../../base/emitter.ts";
import type { EventGap, LoggedEvent, MachineEvent, SandboxEvent } from "../../model/event.ts";
import type { Database } from "../database.ts";
import { eventData } from "./event-data.ts";
import { EventTable } from "./event-table.ts";

export interface EventLogOptions {
  readonly database: Database;
  readonly log: { warn(detail: object, message: string): void };
  /** How many events are kept; 100,000 by default. */
  readonly maxEvents?: number;
  /** How long they are kept; seven days by default. */
  readonly maxAgeMs?: number;
  /** Names this run of the machine; tests only. */
  readonly boot?: string;
}

/** Which events a reader is told of; all where nothing is said. */
export interface EventFilter {
  readonly tenant?: string | undefined;
  readonly sandbox?: string | undefined;
  readonly types?: readonly string[] | undefined;
  /** `key` or `key=value`; the sandbox had all of them. */
  readonly labels?: readonly string[] | undefined;
}

/** What a reader gets, in the order of ids: events, and between them what is not there. */
export type LogItem = ({ readonly kind: "event" } & LoggedEvent) | ({ readonly kind: "gap" } & EventGap);

export interface EventPage {
  readonly items: readonly LogItem[];
  /** Where to read on: everything up to this id has been looked at. */
  readonly next: number;
}

/** Events that come within this time are written together. */
const FLUSH_MS = 10;
/** What waits for a database that cannot be written to. */
const MAX_PENDING = 10_000;
const PRUNE_EVERY = 1000;
const PAGE = 256;

/**
 * What happened to the sandboxes, in order. A reader is told of an event only when it is written, so that no id is ever
 * given to two events: of what nobody was told, a `kill -9` may lose the last 10 ms.
 */
export class EventLog {
  readonly #table: EventTable;
  readonly #options: Required<Pick<EventLogOptions, "maxEvents" | "maxAgeMs" | "log">>;
  readonly #written: Emitter<number>;
  #pending: (SandboxEvent | MachineEvent)[] = [];
  #dropped = 0;
  #untilPrune = PRUNE_EVERY;
  #timer: NodeJS.Timeout | undefined;

  constructor({ database, log, maxEvents = 100_000, maxAgeMs = 7 * 24 * 3_600_000, boot = bootId() }: EventLogOptions) {
    this.#options = { maxEvents, maxAgeMs, log };
    this.#table = new EventTable(database, boot);
    this.#written = new Emitter((err) => log.warn({ err }, "a reader of events failed"));
    while (!this.#prune()) {
      // What an earlier daemon kept may be much more than this one does.
    }
  }

  /** Id of the latest event that is written; 0 before the first. */
  get newest(): number {
    return this.#table.newest;
  }

  append(event: SandboxEvent | MachineEvent): void {
    if (this.#pending.length >= MAX_PENDING) {
      this.#pending.shift();
      this.#dropped += 1;
    }
    this.#pending.push(event);
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  /** The next events after the id `after`, at most `limit` of them. */
  read(after: number, filter: EventFilter = {}, limit: number = PAGE): EventPage {
    const newest = this.#table.newest;
    const events = this.#table.after(after, filter, limit);
    const last = events.at(-1)?.id;
    const next = last !== undefined && events.length === limit ? last : Math.max(after, newest);
    const gaps = this.#table.gapsAfter(after).filter(({ from }) => from <= next);
    return { items: inOrder(events, gaps), next };
  }

  /** The latest events, oldest first. */
  latest(filter: EventFilter, limit: number): EventPage {
    return { items: inOrder(this.#table.latest(filter, limit), []), next: this.#table.newest };
  }

  /** Calls with the newest id whenever something has been written; answers what ends it. */
  onWritten(listener: (newest: number) => void): () => void {
    return this.#written.listen(listener);
  }

  /** What comes after the id `after`, as it is written, until the signal aborts. */
  async *follow(after: number, filter: EventFilter, signal: AbortSignal): AsyncGenerator<EventPage, void, undefined> {
    let at = after;
    while (!signal.aborted) {
      const page = this.read(at, filter, PAGE);
      at = page.next;
      if (page.items.length > 0) yield page;
      else if (at >= this.newest) await this.more(signal);
    }
  }

  /** Writes what waits to be written, so that who asks now is told of what has happened before. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#write();
  }

  /** Writes what is left. Idempotent. */
  close(): void {
    this.flush();
    clearTimeout(this.#timer);
  }

  /** Resolves when something has been written, or the signal aborts. */
  more(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        stop();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const stop = this.#written.listen(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  #write(): void {
    if (this.#pending.length === 0) return;
    const events = this.#pending;
    try {
      this.#table.append(events.map(rowOf), this.#dropped);
    } catch (err) {
      this.#options.log.warn({ err, events: events.length }, "events could not be written; they are tried again");
      this.#timer = setTimeout(() => this.flush(), 1000);
      this.#timer.unref();
      return;
    }
    this.#pending = [];
    this.#dropped = 0;
    this.#untilPrune -= events.length;
    if (this.#untilPrune <= 0) this.#prune();
    this.#written.emit(this.newest);
  }

  /** Whether all that is too old or too many is gone. */
  #prune(): boolean {
    this.#untilPrune = PRUNE_EVERY;
    const { maxEvents, maxAgeMs } = this.#options;
    return this.#table.prune(maxEvents, new Date(Date.now() - maxAgeMs));
  }
}

/** No event lies within a gap. */
function inOrder(events: readonly LoggedEvent[], gaps: readonly EventGap[]): LogItem[] {
  const items: LogItem[] = events.map((event) => ({ kind: "event", ...event }));
  if (gaps.length === 0) return items;
  const first = (item: LogItem): number => (item.kind === "gap" ? item.from : item.id);
  return [...items, ...gaps.map((gap): LogItem => ({ kind: "gap", ...gap }))].sort((a, b) => first(a) - first(b));
}

const rowOf = (event: SandboxEvent | MachineEvent) => ({
  at: event.at.getTime(),
  tenant: event.tenant,
  sandbox: event.sandbox ?? "",
  name: event.name,
  labels: JSON.stringify(event.labels),
  type: event.type,
  data: JSON.stringify(eventData(event)),
});

/** Another one after each start of the machine; a kernel that does not tell is always the same one. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}
