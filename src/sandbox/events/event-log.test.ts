import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EventBody, SandboxEvent } from "../../model/event.ts";
import { newExecId, newSandboxId } from "../../model/ids.ts";
import type { LogItem } from "./event-log.ts";
import { EventLog } from "./event-log.ts";

const SANDBOX = newSandboxId();
const EXEC = newExecId();
const started: EventBody = { type: "exec.started", exec: EXEC, by: "local" };
const event = (body: EventBody = started, changes: Partial<SandboxEvent> = {}): SandboxEvent =>
  ({
    sandbox: SANDBOX,
    tenant: "default",
    name: null,
    labels: {},
    at: new Date(),
    ...body,
    ...changes,
  }) as SandboxEvent;

let database: Database.Database;
const warn = vi.fn();

beforeEach(() => {
  database = new Database(":memory:");
  warn.mockClear();
});
afterEach(() => void database.close());

const open = (options: Partial<ConstructorParameters<typeof EventLog>[0]> = {}) =>
  new EventLog({ database, log: { warn }, boot: "one", ...options });

/** Events are written when it returns. */
function write(log: EventLog, ...events: readonly SandboxEvent[]): void {
  for (const each of events) log.append(each);
  log.close();
}

const brief = (items: readonly LogItem[]) =>
  items.map((item) => (item.kind === "gap" ? `gap ${item.from}-${item.to}` : item.id));

describe("an event log", () => {
  it("numbers events from 1 on, and goes on after a restart", () => {
    const first = open();
    expect(first.newest).toBe(0);
    write(first, event(), event());
    const second = open();
    write(second, event());
    expect(brief(second.read(0).items)).toEqual([1, 2, 3]);
    expect(brief(second.read(2).items)).toEqual([3]);
    expect(second.read(3)).toEqual({ items: [], next: 3 });
  });

  it("tells nobody of an event before it is written, and then soon", async () => {
    const log = open();
    log.append(event());
    expect(log.read(0).items).toEqual([]);
    await new Promise<void>((resolve) => void log.onWritten(() => resolve()));
    expect(brief(log.read(0).items)).toEqual([1]);
  });

  it("keeps of a state and of a report what is told outside", () => {
    const log = open();
    const at = new Date("2026-01-02T03:04:05.678Z");
    const report = {
      ...{ exec: EXEC, code: 3, signal: null, limit: null, wallMs: 1.5, userMs: 1, systemMs: 0.5, peakRssBytes: 7 },
      ...{ stdoutBytes: 2, stderrBytes: 0 },
    };
    const running = { kind: "running", pid: 7, startTime: 8 } as const;
    write(
      log,
      event({ type: "sandbox.state", state: running as never, reason: null }, { at }),
      event({ type: "exec.ended", exec: EXEC, report }),
    );
    const { code: _code, ...rest } = report;
    expect(log.read(0).items).toEqual([
      {
        ...{
          kind: "event",
          id: 1,
          type: "sandbox.state",
          at,
          sandbox: SANDBOX,
          tenant: "default",
          name: null,
          labels: {},
        },
        data: { state: "running", reason: null },
      },
      expect.objectContaining({ id: 2, type: "exec.ended", data: { ...rest, exitCode: 3 } }),
    ]);
  });

  it("filters by tenant, sandbox and type, and reads on behind what did not match", () => {
    const log = open();
    const other = newSandboxId();
    const ready: EventBody = { type: "sandbox.ready" };
    write(log, event(), event(ready), event(started, { sandbox: other }), event(started, { tenant: "acme" }), event());
    expect(brief(log.read(0, { tenant: "default" }).items)).toEqual([1, 2, 3, 5]);
    expect(brief(log.read(0, { sandbox: other }).items)).toEqual([3]);
    expect(brief(log.read(0, { types: ["sandbox.ready", "file.changed"] }).items)).toEqual([2]);
    expect(log.read(0, { types: [] })).toEqual({ items: [], next: 5 });
    expect(log.read(0, { tenant: "default" }, 2)).toMatchObject({ next: 2 });
    expect(brief(log.latest({ tenant: "default" }, 2).items)).toEqual([3, 5]);
  });

  it("tells no tenant of what is about no sandbox", () => {
    const log = open();
    const change = { storage: "disk-pool", level: "high", usedBytes: 8, totalBytes: 10 } as const;
    log.append({
      sandbox: null,
      tenant: "",
      name: null,
      labels: {},
      at: new Date(),
      type: "storage.pressure",
      ...change,
    });
    write(log, event());
    expect(log.read(0).items[0]).toMatchObject({ id: 1, sandbox: null, type: "storage.pressure", data: change });
    expect(brief(log.read(0, { tenant: "default" }).items)).toEqual([2]);
    expect(brief(log.read(0, { sandbox: SANDBOX }).items)).toEqual([2]);
  });

  it("filters by labels that the sandbox had then: a key, or a key with its value", () => {
    const log = open();
    write(
      log,
      event(),
      event(started, { labels: { team: "a", "x/y.z": "1=2" } }),
      event(started, { labels: { team: "b" } }),
    );
    const idsOf = (...labels: readonly string[]) => brief(log.read(0, { labels }).items);
    expect(idsOf()).toEqual([1, 2, 3]);
    expect(idsOf("team")).toEqual([2, 3]);
    expect(idsOf("team=a")).toEqual([2]);
    expect(idsOf("team", "x/y.z=1=2")).toEqual([2]);
    expect(idsOf("team=a", "missing")).toEqual([]);
  });

  it("keeps so many events, and names those that it does not", () => {
    const log = open({ maxEvents: 5 });
    write(log, ...Array.from({ length: 1000 }, () => event()));
    expect(brief(log.read(0).items)).toEqual(["gap 1-995", 996, 997, 998, 999, 1000]);
    expect(brief(log.read(990).items)).toEqual(["gap 991-995", 996, 997, 998, 999, 1000]);
    expect(brief(log.read(995).items)).toEqual([996, 997, 998, 999, 1000]);
    expect(brief(log.read(0, {}, 1).items)).toEqual(["gap 1-995", 996]);
  });

  it("keeps them so long, also where none is left", () => {
    write(open(), event(started, { at: new Date(0) }), event(started, { at: new Date(0) }));
    const log = open({ maxAgeMs: 1000 });
    expect(log.newest).toBe(2);
    expect(log.read(0)).toEqual({ items: [{ kind: "gap", from: 1, to: 2 }], next: 2 });
    write(log, event());
    expect(brief(log.read(0).items)).toEqual(["gap 1-2", 3]);
  });

  it("forgets at its start what is too much, however much that is", () => {
    const log = open();
    for (let i = 0; i < 12; i++) write(log, ...Array.from({ length: 1000 }, () => event()));
    expect(brief(open({ maxEvents: 2 }).read(0).items)).toEqual(["gap 1-11998", 11_999, 12_000]);
  });

  it("gives no id twice where a power cut may have taken the last events back", () => {
    write(open(), event(), event());
    const log = open({ boot: "two" });
    write(log, event());
    expect(brief(log.read(0).items)).toEqual([1, 2, "gap 3-1000002", 1_000_003]);
    expect(brief(log.read(0, {}, 1).items)).toEqual([1]);
    // A reader was told of event 5 and the disk was not.
    expect(brief(log.read(5).items)).toEqual(["gap 6-1000002", 1_000_003]);
    expect(brief(open({ boot: "two" }).read(1_000_002).items)).toEqual([1_000_003]);
  });

  it("tries again what could not be written, and names what had to go meanwhile", () => {
    const log = open();
    database.exec("ALTER TABLE events RENAME TO elsewhere");
    for (let i = 0; i < 10_002; i++) log.append(event());
    log.close();
    expect(warn).toHaveBeenCalledOnce();
    expect(log.newest).toBe(0);
    database.exec("ALTER TABLE elsewhere RENAME TO events");
    log.close();
    expect(log.newest).toBe(10_002);
    expect(brief(log.read(0, {}, 1).items)).toEqual(["gap 1-2", 3]);
  });
});

describe("following", () => {
  it("misses nothing between what was written and what comes", async () => {
    const log = open();
    write(log, ...Array.from({ length: 300 }, () => event()));
    const abort = new AbortController();
    const seen: unknown[] = [];
    for await (const { items } of log.follow(0, {}, abort.signal)) {
      seen.push(...brief(items));
      if (seen.length === 300) write(log, event());
      else if (seen.length === 301) setImmediate(() => write(log, event(), event()));
      else if (seen.length === 303) abort.abort();
    }
    expect(seen).toEqual(Array.from({ length: 303 }, (_, i) => i + 1));
  });

  it("names what went away while the reader was slow", async () => {
    const log = open({ maxEvents: 3 });
    write(log, ...Array.from({ length: 300 }, () => event()));
    const pages = log.follow(0, {}, new AbortController().signal);
    expect((await pages.next()).value?.next).toBe(256);
    write(log, ...Array.from({ length: 1000 }, () => event()));
    expect(brief((await pages.next()).value?.items ?? [])).toEqual(["gap 257-1297", 1298, 1299, 1300]);
  });

  it("ends with its signal while it waits", async () => {
    const abort = new AbortController();
    const next = open().follow(0, {}, abort.signal).next();
    abort.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
