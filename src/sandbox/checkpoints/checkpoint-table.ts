import type { Checkpoint } from "../../model/checkpoint.ts";
import type { CheckpointId } from "../../model/ids.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { Database } from "../database.ts";
import type { StoredSandbox } from "../registry.ts";
import { readSandbox } from "../registry.ts";
import { HeldPoints } from "./held-points.ts";

type StoredCheckpoint = Omit<Checkpoint, "createdAt" | "origin"> & {
  readonly createdAt: string;
  readonly origin: StoredSandbox;
};

interface Row {
  readonly body: string;
}

/** The checkpoints of a daemon, and what they stand in. Every write is done when the method returns. */
export class CheckpointTable {
  readonly held = new HeldPoints();
  readonly #database: Database;
  readonly #byId = new Map<CheckpointId, Checkpoint>();
  readonly #put;
  readonly #delete;

  constructor(database: Database) {
    this.#database = database;
    database.exec("CREATE TABLE IF NOT EXISTS checkpoints (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT");
    this.#put = database.prepare<[string, string]>("INSERT OR REPLACE INTO checkpoints (id, body) VALUES (?, ?)");
    this.#delete = database.prepare<[string]>("DELETE FROM checkpoints WHERE id = ?");
    const rows = database.prepare<[], Row>("SELECT body FROM checkpoints ORDER BY id").all();
    for (const { body } of rows) {
      const checkpoint = readCheckpoint(body);
      this.#byId.set(checkpoint.id, checkpoint);
    }
  }

  /** Oldest first. */
  all(): readonly Checkpoint[] {
    return [...this.#byId.values()];
  }

  get(id: CheckpointId): Checkpoint | undefined {
    return this.#byId.get(id);
  }

  put(...checkpoints: readonly Checkpoint[]): void {
    this.together(() => {
      for (const checkpoint of checkpoints) this.#put.run(checkpoint.id, JSON.stringify(checkpoint));
    });
    for (const checkpoint of checkpoints) this.#byId.set(checkpoint.id, checkpoint);
  }

  /** Whoever had one of them as its parent has that one's parent then. */
  delete(...ids: readonly CheckpointId[]): void {
    const gone = new Set(ids);
    const parentOf = (id: CheckpointId | null): CheckpointId | null => {
      let parent = id;
      while (parent !== null && gone.has(parent)) parent = this.#byId.get(parent)?.parent ?? null;
      return parent;
    };
    const children = this.all()
      .filter(({ id, parent }) => !gone.has(id) && parent !== null && gone.has(parent))
      .map((child) => ({ ...child, parent: parentOf(child.parent) }));
    this.together(() => {
      this.put(...children);
      for (const id of ids) this.#delete.run(id);
    });
    for (const id of ids) this.#byId.delete(id);
  }

  /** Commits everything that `work` writes to the daemon's database at once, or nothing. */
  together(work: () => void): void {
    this.#database.transaction(work)();
  }
}

function readCheckpoint(body: string): Checkpoint {
  const { createdAt, origin, ...checkpoint } = JSON.parse(body) as StoredCheckpoint;
  return { ...checkpoint, createdAt: new Date(createdAt), origin: readSandbox(origin) };
}

/** A point's own record of its sandbox: what the registry keeps beside it, such as processes, means nothing later. */
export const originOf = (sandbox: Sandbox): Sandbox => ({
  ...sandbox,
  state: { kind: "stopped", reason: { type: "asked" } },
});
