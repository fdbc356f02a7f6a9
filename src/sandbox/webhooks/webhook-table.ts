import type { Webhook } from "../../model/webhook.ts";
import type { Database } from "../database.ts";

/** A webhook with what nobody is shown. */
export interface StoredWebhook extends Webhook {
  readonly secret: string;
}

interface Row {
  readonly id: string;
  /** JSON of all but the id. */
  readonly body: string;
}

/** Webhooks in the daemon's database; every write is done when the method returns. */
export class WebhookTable {
  readonly #put;
  readonly #delete;
  readonly #all;

  constructor(database: Database) {
    database.exec("CREATE TABLE IF NOT EXISTS webhooks (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT");
    this.#put = database.prepare<[string, string]>("INSERT OR REPLACE INTO webhooks (id, body) VALUES (?, ?)");
    this.#delete = database.prepare<[string]>("DELETE FROM webhooks WHERE id = ?");
    this.#all = database.prepare<[], Row>("SELECT id, body FROM webhooks ORDER BY id");
  }

  put({ id, ...rest }: StoredWebhook): void {
    this.#put.run(id, JSON.stringify(rest));
  }

  delete(id: string): void {
    this.#delete.run(id);
  }

  all(): readonly StoredWebhook[] {
    return this.#all.all().map(({ id, body }) => ({ id, ...(JSON.parse(body, revive) as Omit<StoredWebhook, "id">) }));
  }
}

const DATES = new Set(["createdAt", "lastSuccessAt", "failingSince", "nextAttemptAt"]);
const revive = (key: string, value: unknown): unknown =>
  DATES.has(key) && typeof value === "string" ? new Date(value) : value;
