/** Who is told of events over HTTP, and how it goes. */
export interface Webhook {
  /** `wh_` + 26 characters. */
  readonly id: string;
  /** Whose sandboxes it is told of; null for all, as the operator is. */
  readonly tenant: string | null;
  readonly url: string;
  /** Types and areas such as `exec.*`; null for all. */
  readonly types: readonly string[] | null;
  /** The id of the only sandbox that it is told of. */
  readonly sandbox: string | null;
  /** `key` or `key=value`; the sandboxes had all of them. */
  readonly labels: readonly string[];
  readonly createdAt: Date;
  readonly status: WebhookStatus;
}

export interface WebhookStatus {
  /** `failing`: the last attempt failed and there will be another. `disabled`: there will be none until it is enabled. */
  readonly state: "active" | "failing" | "disabled";
  /** Of the event up to which everything was delivered, or did not concern it. */
  readonly deliveredId: number;
  readonly lastSuccessAt: Date | null;
  /** What was wrong with the last attempt; null after a success. */
  readonly lastError: string | null;
  /** Attempts since the last success. */
  readonly failures: number;
  readonly failingSince: Date | null;
  readonly nextAttemptAt: Date | null;
}
