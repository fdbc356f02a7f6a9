import { PlyboxError } from "../../model/errors.ts";
import { newWebhookId } from "../../model/ids.ts";
import type { Webhook } from "../../model/webhook.ts";
import type { Database } from "../database.ts";
import type { EventLog } from "../events/event-log.ts";
import type { DeliveryHost, DeliveryOptions } from "./delivery.ts";
import { Delivery, send } from "./delivery.ts";
import type { Attempt } from "./post.ts";
import { keyOf, newSecret } from "./signature.ts";
import type { StoredWebhook } from "./webhook-table.ts";
import { WebhookTable } from "./webhook-table.ts";

export interface WebhooksOptions extends Partial<DeliveryOptions> {
  readonly database: Database;
  readonly events: EventLog;
  readonly log: DeliveryHost["log"];
  /** Told of every attempt to deliver. */
  readonly onAttempt?: (attempt: Attempt) => void;
}

/** What a webhook is made of. */
export interface NewWebhook {
  /** Of whoever makes it; null for one that is told of every tenant's sandboxes. */
  readonly tenant: string | null;
  readonly url: string;
  readonly types?: readonly string[];
  readonly sandbox?: string;
  readonly labels?: readonly string[];
  /** Made where it is not given. */
  readonly secret?: string;
}

/** Each one costs a reader of the log. */
const MAX_PER_TENANT = 100;
const DAY_MS = 24 * 3_600_000;

/**
 * Tells receivers of events over HTTP. Each gets the events that it wants in order and at least once: how far it has
 * come is written after each one that it took.
 */
export class Webhooks {
  readonly #host: DeliveryHost;
  readonly #table: WebhookTable;
  readonly #webhooks = new Map<string, StoredWebhook>();
  readonly #deliveries = new Map<string, Delivery>();

  constructor({ database, events, log, onAttempt = () => {}, ...options }: WebhooksOptions) {
    this.#table = new WebhookTable(database);
    this.#host = {
      ...{ retryMs: 1000, maxRetryMs: 3_600_000, giveUpMs: 3 * DAY_MS, timeoutMs: 15_000 },
      ...options,
      ...{ events, log },
      attempted: onAttempt,
      save: (id, status) => this.#put({ ...this.#stored(id), status }),
    };
    for (const webhook of this.#table.all()) this.#begin(webhook);
  }

  /**
   * From the next event on. The secret is told this once.
   * @throws PlyboxError `input/invalid`, `webhook/too-many`
   */
  create({ tenant, url, types, sandbox, labels, secret = newSecret() }: NewWebhook): StoredWebhook {
    checkUrl(url);
    keyOf(secret);
    if (this.list(tenant).filter((each) => each.tenant === tenant).length >= MAX_PER_TENANT) {
      throw new PlyboxError("webhook/too-many", `there are ${MAX_PER_TENANT} webhooks, and no more can be made`);
    }
    // What happened before it was asked for is not told.
    this.#host.events.flush();
    const webhook: StoredWebhook = {
      ...{ id: newWebhookId(), tenant, url, secret, createdAt: new Date() },
      ...{ types: types ?? null, sandbox: sandbox ?? null, labels: labels ?? [] },
      status: {
        ...{ state: "active", deliveredId: this.#host.events.newest, lastSuccessAt: null, lastError: null },
        ...{ failures: 0, failingSince: null, nextAttemptAt: null },
      },
    };
    this.#table.put(webhook);
    this.#begin(webhook);
    return webhook;
  }

  /** Oldest first; of one tenant, or of all for null. */
  list(tenant: string | null): readonly Webhook[] {
    return [...this.#webhooks.values()].filter((each) => tenant === null || each.tenant === tenant).map(this.#shown);
  }

  /** @throws PlyboxError `webhook/not-found`, also for another tenant's */
  get(id: string, tenant: string | null): Webhook {
    return this.#shown(this.#find(id, tenant));
  }

  /** Nothing more is sent when it resolves. */
  async remove(id: string, tenant: string | null): Promise<void> {
    this.#find(id, tenant);
    const delivery = this.#deliveries.get(id);
    await delivery?.close();
    this.#table.delete(id);
    this.#webhooks.delete(id);
    this.#deliveries.delete(id);
  }

  /** Tries again at once, and goes on where it was: also one that is disabled. */
  async enable(id: string, tenant: string | null): Promise<Webhook> {
    this.#find(id, tenant);
    await this.#deliveries.get(id)?.close();
    const webhook = this.#find(id, tenant);
    const status = {
      ...webhook.status,
      state: "active",
      failures: 0,
      failingSince: null,
      nextAttemptAt: null,
    } as const;
    this.#put({ ...webhook, status });
    this.#begin({ ...webhook, status });
    return this.get(id, tenant);
  }

  /** Sends a message of the type `webhook.test` now and once, beside the events. */
  async test(id: string, tenant: string | null): Promise<Attempt> {
    const webhook = this.#find(id, tenant);
    const at = new Date();
    const message = {
      id: `${id}_test_${at.getTime()}`,
      body: JSON.stringify({ type: "webhook.test", at: at.toISOString() }),
    };
    return await send(webhook, message, { timeoutMs: this.#host.timeoutMs, signal: new AbortController().signal });
  }

  /** Stops sending; the next start goes on. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([...this.#deliveries.values()].map((delivery) => delivery.close()));
    this.#deliveries.clear();
  }

  #begin(webhook: StoredWebhook): void {
    this.#webhooks.set(webhook.id, webhook);
    this.#deliveries.set(webhook.id, new Delivery(this.#host, webhook));
  }

  #put(webhook: StoredWebhook): void {
    this.#table.put(webhook);
    this.#webhooks.set(webhook.id, webhook);
  }

  #find(id: string, tenant: string | null): StoredWebhook {
    const webhook = this.#webhooks.get(id);
    if (webhook !== undefined && (tenant === null || webhook.tenant === tenant)) return webhook;
    throw new PlyboxError("webhook/not-found", `there is no webhook ${JSON.stringify(id.slice(0, 80))}`);
  }

  #stored(id: string): StoredWebhook {
    return this.#find(id, null);
  }

  readonly #shown = ({ secret: _secret, ...webhook }: StoredWebhook): Webhook => ({
    ...webhook,
    status: this.#deliveries.get(webhook.id)?.status ?? webhook.status,
  });
}

/** A receiver on this machine or in its network is allowed: whoever runs a daemon has those. */
function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (isHttp && url.username === "" && url.password === "" && url.hash === "") return;
  throw new PlyboxError("input/invalid", "url must begin with http:// or https:// and have neither user nor fragment", {
    field: "url",
  });
}
