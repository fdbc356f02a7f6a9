import * as z from "zod";
import { eventTypes } from "./event.ts";

const labelWord = z.string().min(1).max(400);

export const webhookParams = z.strictObject({
  webhook: z
    .string()
    .regex(/^wh_[0-9a-hjkmnp-tv-z]{26}$/, "must be wh_ and 26 characters")
    .describe("The webhook's id."),
});

export const createWebhookBody = z.strictObject({
  url: z.string().max(2048).describe("Where events are sent: http:// or https://."),
  types: z.exactOptional(
    z.array(eventTypes).min(1).max(50).describe("Types and areas such as exec.*; all by default."),
  ),
  sandbox: z.exactOptional(z.string().max(63).describe("This sandbox alone, by id or name.")),
  labels: z.exactOptional(
    z.array(labelWord).max(16).describe("`key` or `key=value`; sandboxes that have all of them, alone."),
  ),
  secret: z.exactOptional(
    z.string().max(200).describe("whsec_ and 24 to 64 bytes in base64; made where it is not given."),
  ),
});

const time = z.iso.datetime().nullable();

export const webhookView = z.object({
  id: z.string(),
  url: z.string(),
  types: z.array(z.string()).nullable().describe("Null for all."),
  sandbox: z.string().nullable(),
  labels: z.array(z.string()),
  createdAt: z.iso.datetime(),
  state: z
    .enum(["active", "failing", "disabled"])
    .describe("failing: there will be another attempt; disabled: there will be none until it is enabled."),
  deliveredId: z.int().describe("Everything up to this event was delivered, or does not concern it."),
  lastSuccessAt: time,
  lastError: z.string().nullable(),
  failures: z.int().describe("Attempts since the last success."),
  failingSince: time,
  nextAttemptAt: time,
});

export const newWebhookView = webhookView.extend({ secret: z.string().describe("Shown this once.") });
export const webhookList = z.object({ webhooks: z.array(webhookView) });

export const webhookTestView = z.object({
  ok: z.boolean(),
  status: z.int().nullable().describe("What the receiver answered; null where there was no answer."),
  problem: z.string().nullable(),
});
