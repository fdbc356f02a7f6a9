import type { Route } from "./route.ts";
import {
  createWebhookBody,
  newWebhookView,
  webhookList,
  webhookParams,
  webhookTestView,
  webhookView,
} from "./schemas/webhook.ts";

export const WEBHOOK_ROUTES = {
  createWebhook: {
    method: "POST",
    path: "/v1/webhooks",
    summary: "Send events to an address from now on; the secret is shown this once",
    body: createWebhookBody,
    answers: { 201: { description: "The webhook with its secret", json: newWebhookView } },
    errors: ["sandbox/not-found", "webhook/too-many"],
  },
  listWebhooks: {
    method: "GET",
    path: "/v1/webhooks",
    summary: "Webhooks of the asker's tenant, or all for the operator",
    answers: { 200: { description: "Oldest first", json: webhookList } },
    errors: [],
  },
  getWebhook: {
    method: "GET",
    path: "/v1/webhooks/:webhook",
    summary: "One webhook, and how it goes",
    params: webhookParams,
    answers: { 200: { description: "As it is now", json: webhookView } },
    errors: ["webhook/not-found"],
  },
  removeWebhook: {
    method: "DELETE",
    path: "/v1/webhooks/:webhook",
    summary: "Send nothing more",
    params: webhookParams,
    answers: { 204: { description: "Removed" } },
    errors: ["webhook/not-found"],
  },
  testWebhook: {
    method: "POST",
    path: "/v1/webhooks/:webhook/test",
    summary: "Send a message of the type webhook.test now, once",
    params: webhookParams,
    answers: { 200: { description: "What the receiver answered", json: webhookTestView } },
    errors: ["webhook/not-found"],
  },
  enableWebhook: {
    method: "POST",
    path: "/v1/webhooks/:webhook/enable",
    summary: "Try again now, and go on where it was",
    params: webhookParams,
    answers: { 200: { description: "The webhook", json: webhookView } },
    errors: ["webhook/not-found"],
  },
} as const satisfies Record<string, Route>;

export type WebhookRoutes = typeof WEBHOOK_ROUTES;
