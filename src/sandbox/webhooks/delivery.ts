import { setTimeout } from "node:timers/promises";
import { expandTypes } from "../../model/event.ts";
import type { WebhookStatus } from "../../model/webhook.ts";
import { eventJson } from "../events/event-data.ts";
import type { EventFilter, EventLog, LogItem } from "../events/event-log.ts";
import type { Attempt } from "./post.ts";
import { post } from "./post.ts";
import { signedHeaders } from "./signature.ts";
import type { StoredWebhook } from "./webhook-table.ts";

export interface DeliveryOptions {
  /** Wait after the first failure; doubled after each, up to `maxRetryMs`, and shortened by chance by up to a half. */
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** After failures for so long a webhook is disabled. */
  readonly giveUpMs: number;
  readonly timeoutMs: number;
}

/** The service's side of one delivery. */
export interface DeliveryHost extends DeliveryOptions {
  readonly events: EventLog;
  readonly log: { warn(detail: object, message: string): void };
  /** The status is written when it returns. */
  save(id: string, status: WebhookStatus): void;
  attempted(attempt: Attempt): void;
}

/** Progress that is only noted in memory, in ids: a start repeats the search of so many events. */
const UNSAVED_IDS = 1000;

/** What is sent: its id tells a receiver that it has had it before. */
export interface Message {
  readonly id: string;
  readonly body: string;
}

/** Tells one receiver of events, one after the other: the next one when the one before has been taken. */
export class Delivery {
  readonly #host: DeliveryHost;
  readonly #webhook: StoredWebhook;
  readonly #filter: EventFilter;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #status: WebhookStatus;
  #savedId: number;

  /** Begins at once, where it is not disabled. */
  constructor(host: DeliveryHost, webhook: StoredWebhook) {
    this.#host = host;
    this.#webhook = webhook;
    this.#status = webhook.status;
    this.#savedId = webhook.status.deliveredId;
    this.#filter = filterOf(webhook);
    this.#done = this.#keepRunning();
  }

  get status(): WebhookStatus {
    return this.#status;
  }

  /** Resolves when nothing more is sent; what is on its way then is sent again another time. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
    if (this.#savedId !== this.#status.deliveredId) this.#save({});
  }

  /** A database that cannot be read or written now may be later. */
  async #keepRunning(): Promise<void> {
    const { signal } = this.#stop;
    const { log, maxRetryMs } = this.#host;
    while (!signal.aborted) {
      try {
        return await this.#run();
      } catch (err) {
        log.warn({ err, webhook: this.#webhook.id }, "a webhook cannot go on now");
        await setTimeout(Math.min(10_000, maxRetryMs), undefined, { signal, ref: false }).catch(() => {});
      }
    }
  }

  async #run(): Promise<void> {
    const { events } = this.#host;
    const { signal } = this.#stop;
    while (!signal.aborted && this.#status.state !== "disabled") {
      const { items, next } = events.read(this.#status.deliveredId, this.#filter);
      for (const item of items) {
        if (!(await this.#deliver(item))) return;
      }
      this.#reach(next);
      if (next >= events.newest) await events.more(signal);
    }
  }

  /** Tries until it succeeds; false when it is to stop, or has been given up. */
  async #deliver(item: LogItem): Promise<boolean> {
    const { signal } = this.#stop;
    const message = messageOf(this.#webhook, item);
    for (;;) {
      const wait = (this.#status.nextAttemptAt?.getTime() ?? 0) - Date.now();
      if (wait > 0) await setTimeout(wait, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return false;
      const attempt = await send(this.#webhook, message, { timeoutMs: this.#host.timeoutMs, signal });
      if (signal.aborted && !attempt.ok) return false;
      this.#host.attempted(attempt);
      if (attempt.ok) {
        this.#save({
          ...{ state: "active", deliveredId: lastIdOf(item), lastSuccessAt: new Date(), lastError: null },
          ...{ failures: 0, failingSince: null, nextAttemptAt: null },
        });
        return true;
      }
      this.#save(this.#failed(attempt));
      if (this.#status.state === "disabled") return false;
    }
  }

  #failed({ status, problem, retryAfterMs }: Attempt): Partial<WebhookStatus> {
    const now = Date.now();
    const failures = this.#status.failures + 1;
    const failingSince = this.#status.failingSince ?? new Date(now);
    const { retryMs, maxRetryMs, giveUpMs } = this.#host;
    const failed = { failures, failingSince, lastError: problem };
    // 410: the receiver is gone for good, and says so.
    if (status === 410 || now - failingSince.getTime() >= giveUpMs) {
      return { ...failed, state: "disabled", nextAttemptAt: null };
    }
    const backoff = Math.min(maxRetryMs, retryMs * 2 ** Math.min(failures - 1, 30));
    // By chance, so that receivers that failed together are not tried together.
    const wait = Math.max(backoff * (0.5 + Math.random() / 2), Math.min(retryAfterMs ?? 0, maxRetryMs));
    return { ...failed, state: "failing", nextAttemptAt: new Date(now + wait) };
  }

  /** Everything up to this id has been delivered or does not concern the receiver. */
  #reach(id: number): void {
    this.#status = { ...this.#status, deliveredId: id };
    if (id - this.#savedId >= UNSAVED_IDS) this.#save({});
  }

  #save(changes: Partial<WebhookStatus>): void {
    this.#status = { ...this.#status, ...changes };
    this.#savedId = this.#status.deliveredId;
    this.#host.save(this.#webhook.id, this.#status);
  }
}

/** Sends a message once, with a signature of this moment. */
export function send(
  { url, secret }: StoredWebhook,
  { id, body }: Message,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Attempt> {
  const headers = {
    "content-type": "application/json",
    "content-length": `${Buffer.byteLength(body)}`,
    "user-agent": "plybox",
    ...signedHeaders(secret, id, body, new Date()),
  };
  return post(url, body, { headers, ...options });
}

const lastIdOf = (item: LogItem): number => (item.kind === "gap" ? item.to : item.id);

function messageOf({ id }: StoredWebhook, item: LogItem): Message {
  const body = item.kind === "gap" ? { type: "gap", from: item.from, to: item.to } : eventJson(item);
  return { id: `${id}_${lastIdOf(item)}`, body: JSON.stringify(body) };
}

function filterOf({ tenant, types, sandbox, labels }: StoredWebhook): EventFilter {
  return {
    ...(tenant !== null && { tenant }),
    ...(types !== null && { types: expandTypes(types) }),
    ...(sandbox !== null && { sandbox }),
    ...(labels.length > 0 && { labels }),
  };
}
