import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sandboxRecord } from "../../test/support/sandbox-record.ts";
import { openDatabase } from "./database.ts";
import { memoryRegistry } from "./memory-registry.ts";
import type { KeptEntry, Registry, RegistryEntry } from "./registry.ts";
import { openRegistry } from "./registry.ts";

let directory: string;
let file: string;
let registry: Registry;
let close: () => void;

function openFile(): Registry {
  const database = openDatabase(file);
  close = () => void database.close();
  return openRegistry(database);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plybox-registry-"));
  file = join(directory, "registry.sqlite");
  close = () => {};
});
afterEach(() => {
  close();
  rmSync(directory, { recursive: true, force: true });
});

const entry = (n: number): RegistryEntry => ({
  sandbox: sandboxRecord({ idBase: 0x7000_0000 + n * 65_536 }),
  digests: [`${n}`.repeat(64), "f".repeat(64)],
});
const kept = (one: RegistryEntry, hasRebooted = false): KeptEntry => ({ ...one, hasRebooted });
/** In no order that anything promises. */
const byBase = (entries: readonly KeptEntry[]): readonly KeptEntry[] =>
  [...entries].sort((a, b) => a.sandbox.idBase - b.sandbox.idBase);

const REGISTRIES = {
  SQLite: { open: openFile, reopens: true },
  memory: { open: memoryRegistry, reopens: false },
};

describe.each(Object.entries(REGISTRIES))("the registry in %s", (_, { open, reopens }) => {
  /** What it holds; where it is kept in a file, as the next daemon would find it. */
  const held = (): readonly KeptEntry[] => {
    if (reopens) {
      close();
      registry = open();
    }
    return byBase(registry.all());
  };

  beforeEach(() => {
    registry = open();
  });

  it("is empty at first", () => {
    expect(held()).toEqual([]);
  });

  it("holds entries as they were put", () => {
    const entries = [entry(1), entry(2), entry(3)];
    for (const one of entries) registry.put(one);
    expect(held()).toStrictEqual(entries.map((one) => kept(one)));
    expect(held()[0]?.sandbox.createdAt).toBeInstanceOf(Date);
  });

  it("replaces the sandbox of an entry, and keeps its digests", () => {
    const [first, second] = [entry(1), entry(2)];
    registry.put(first);
    registry.put(second);
    const running = { ...first.sandbox, state: { kind: "running", pid: 7, startTime: 100 } as const };
    registry.update(running);
    expect(held()).toStrictEqual([kept({ sandbox: running, digests: first.digests }), kept(second)]);
  });

  it("replaces what a sandbox stands on together with the sandbox", () => {
    const [first, second] = [entry(1), entry(2)];
    registry.put(first);
    registry.put(second);
    const restacked = { sandbox: { ...first.sandbox, layers: ["000-other"] }, digests: ["f".repeat(64)] };
    registry.restack(restacked);
    expect(held()).toStrictEqual([kept(restacked), kept(second)]);
  });

  it("makes no entry of an update", () => {
    registry.update(entry(1).sandbox);
    registry.restack(entry(2));
    expect(held()).toEqual([]);
  });

  it("deletes one entry alone, and nothing the second time", () => {
    const [first, second] = [entry(1), entry(2)];
    registry.put(first);
    registry.put(second);
    registry.delete(first.sandbox.id);
    registry.delete(first.sandbox.id);
    expect(held()).toStrictEqual([kept(second)]);
  });
});

describe("the machine's start", () => {
  it("is told of what was written before it, until that is written again", () => {
    const database = openDatabase(file);
    close = () => void database.close();
    const before = openRegistry(database, "a".repeat(32));
    const [first, second] = [entry(1), entry(2)];
    for (const one of [first, second]) before.put(one);
    expect(byBase(before.all())).toStrictEqual([kept(first), kept(second)]);
    const after = openRegistry(database, "b".repeat(32));
    expect(byBase(after.all())).toStrictEqual([kept(first, true), kept(second, true)]);
    after.update(second.sandbox);
    expect(byBase(after.all())).toStrictEqual([kept(first, true), kept(second)]);
  });

  it("is taken to have been since where nothing is known of it", () => {
    const database = openDatabase(file);
    close = () => void database.close();
    registry = openRegistry(database);
    registry.put(entry(1));
    database.exec("UPDATE sandboxes SET body = json_remove(body, '$.boot')");
    expect(registry.all()).toMatchObject([{ hasRebooted: true }]);
  });
});

describe("the registry's file", () => {
  it("serves one daemon at a time, and the next once that one has closed it", () => {
    registry = openFile();
    expect(() => openDatabase(file)).toThrow(
      expect.objectContaining({ code: "daemon/unreachable", message: `another daemon uses ${file}` }),
    );
    // The refused one has taken nothing from the first.
    const one = entry(1);
    registry.put(one);
    close();
    registry = openFile();
    expect(registry.all()).toStrictEqual([kept(one)]);
  });

  it("of a later version is refused and left as it is", () => {
    registry = openFile();
    registry.put(entry(1));
    close();
    setVersion(2);
    expect(() => openDatabase(file)).toThrow(
      expect.objectContaining({ code: "internal", message: "the registry is of version 2, this is 1" }),
    );
    setVersion(1);
    registry = openFile();
    expect(registry.all()).toHaveLength(1);
  });
});

/** Fails where somebody still has the file open. */
function setVersion(version: number): void {
  const database = new Database(file, { timeout: 0 });
  database.pragma(`user_version = ${version}`);
  database.close();
}
