import Database from "better-sqlite3";
import { beforeEach, expect, it, vi } from "vitest";
import type { AuditEntry } from "../model/access.ts";
import { AuditLog } from "./audit-log.ts";

let database: Database.Database;
const NOW = Date.parse("2026-04-01T00:00:00Z");
const open = (now = NOW): AuditLog => new AuditLog(database, () => now);

beforeEach(() => {
  database = new Database(":memory:");
});

const entry = (changes: Partial<AuditEntry> = {}): Omit<AuditEntry, "id"> => ({
  at: new Date(NOW),
  tenant: "acme",
  by: "ci",
  key: "0123456789ab",
  action: "createSandbox",
  path: "/v1/sandboxes",
  sandbox: "sb_1",
  from: null,
  status: 201,
  code: null,
  remote: "127.0.0.1",
  ...changes,
});

it("keeps what was written, newest first, also for the next daemon", () => {
  const entries = [
    entry({ from: "sb_2" }),
    entry({ tenant: null, by: null, key: null, sandbox: null, status: 401, code: "auth/missing" }),
  ];
  const log = open();
  for (const each of entries) log.write(each);
  log.flush();
  expect(open().read({ limit: 10 })).toEqual([
    { id: 2, ...entries[1] },
    { id: 1, ...entries[0] },
  ]);
});

it("is read page by page, of one tenant and about one sandbox", () => {
  const log = open();
  for (const [tenant, sandbox] of [
    ["a", "sb_1"],
    ["b", "sb_2"],
    ["a", "sb_3"],
    ["a", "sb_1"],
  ] as const)
    log.write(entry({ tenant, sandbox }));
  const ids = (page: Parameters<AuditLog["read"]>[0]) => log.read(page).map(({ id }) => id);
  expect(ids({ limit: 2 })).toEqual([4, 3]);
  expect(ids({ limit: 2, before: 3 })).toEqual([2, 1]);
  expect(ids({ limit: 9, tenant: "a" })).toEqual([4, 3, 1]);
  expect(ids({ limit: 9, tenant: "a", sandbox: "sb_1" })).toEqual([4, 1]);
});

it("drops what is older than 90 days when it is opened, and never gives an id twice", () => {
  const log = open();
  log.write(entry({ at: new Date(NOW - 90 * 24 * 3_600_000 - 1) }));
  log.flush();
  expect(open().read({ limit: 9 })).toEqual([]);
  const later = open();
  later.write(entry());
  expect(later.read({ limit: 9 })).toHaveLength(1);
  expect(
    open()
      .read({ limit: 9 })
      .map(({ id }) => id),
  ).toEqual([2]);
});

it("writes by itself soon afterwards", () => {
  vi.useFakeTimers();
  try {
    open().write(entry());
    expect(open().read({ limit: 9 })).toEqual([]);
    vi.advanceTimersByTime(20);
    expect(open().read({ limit: 9 })).toHaveLength(1);
  } finally {
    vi.useRealTimers();
  }
});

it("goes on with a log of before merges, and finds those of the sandbox that they were from", () => {
  open().flush();
  database.exec('ALTER TABLE audit DROP COLUMN "from"');
  const log = open();
  for (const changes of [{ sandbox: "sb_1" }, { sandbox: "sb_1", from: "sb_2" }, { sandbox: "sb_2" }])
    log.write(entry(changes));
  expect(log.read({ limit: 10, sandbox: "sb_2" }).map(({ id }) => id)).toEqual([3, 2]);
});
