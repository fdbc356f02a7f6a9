import type { CreateWebhookBody, NewWebhookView, WebhookList, WebhookTestView, WebhookView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";

/** What a webhook is made of; `url` alone is told of every event. */
export type NewWebhook = CreateWebhookBody;

/** Receivers of events over HTTP: of the caller's tenant, or of every tenant for the operator. */
export class Webhooks {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** From the next event on. Its `secret`, with which the messages are signed, is told this once. */
  async create(webhook: NewWebhook, options?: CallOptions): Promise<NewWebhookView> {
    return await this.#connection.json("POST", "/v1/webhooks", webhook, options);
  }

  async list(options?: CallOptions): Promise<readonly WebhookView[]> {
    return (await this.#connection.json<WebhookList>("GET", "/v1/webhooks", undefined, options)).webhooks;
  }

  async get(id: string, options?: CallOptions): Promise<WebhookView> {
    return await this.#connection.json("GET", pathOf(id), undefined, options);
  }

  async remove(id: string, options?: CallOptions): Promise<void> {
    await this.#connection.json("DELETE", pathOf(id), undefined, options);
  }

  /** Sends a message of the type `webhook.test` and says what the receiver answered. */
  async test(id: string, options?: CallOptions): Promise<WebhookTestView> {
    return await this.#connection.json("POST", `${pathOf(id)}/test`, undefined, options);
  }

  /** Tries again now, also one that was disabled, and goes on where it was. */
  async enable(id: string, options?: CallOptions): Promise<WebhookView> {
    return await this.#connection.json("POST", `${pathOf(id)}/enable`, undefined, options);
  }
}

const pathOf = (id: string): string => `/v1/webhooks/${encodeURIComponent(id)}`;
