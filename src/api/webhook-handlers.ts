import type { Principal } from "../model/principal.ts";
import type { Webhook } from "../model/webhook.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import type { Webhooks } from "../sandbox/webhooks/webhooks.ts";
import { json, noContent } from "./answers.ts";
import type { WebhookView } from "./contract.ts";
import { eventSandboxId } from "./event-handlers.ts";
import type { Handlers } from "./route.ts";
import type { WebhookRoutes } from "./webhook-routes.ts";

export function webhookHandlers(webhooks: Webhooks, sandboxes: Pick<Sandboxes, "get">): Handlers<WebhookRoutes> {
  return {
    createWebhook({ principal, body }) {
      const { url, types, sandbox, labels, secret } = body;
      const webhook = webhooks.create({
        tenant: tenantOf(principal),
        url,
        ...(types !== undefined && { types: types.flatMap((words) => words.split(",")) }),
        ...(sandbox !== undefined && { sandbox: eventSandboxId(sandbox, principal, sandboxes) }),
        ...(labels !== undefined && { labels }),
        ...(secret !== undefined && { secret }),
      });
      return json(201, { ...webhookView(webhook), secret: webhook.secret });
    },
    listWebhooks: ({ principal }) => json(200, { webhooks: webhooks.list(tenantOf(principal)).map(webhookView) }),
    getWebhook: ({ principal, params }) => json(200, webhookView(webhooks.get(params.webhook, tenantOf(principal)))),
    async removeWebhook({ principal, params }) {
      await webhooks.remove(params.webhook, tenantOf(principal));
      return noContent();
    },
    async testWebhook({ principal, params }) {
      const { ok, status, problem } = await webhooks.test(params.webhook, tenantOf(principal));
      return json(200, { ok, status, problem });
    },
    async enableWebhook({ principal, params }) {
      return json(200, webhookView(await webhooks.enable(params.webhook, tenantOf(principal))));
    },
  };
}

/** The operator's are told of every tenant's sandboxes. */
const tenantOf = ({ isOperator, tenant }: Principal): string | null => (isOperator ? null : tenant);

function webhookView({ id, url, types, sandbox, labels, createdAt, status }: Webhook): WebhookView {
  const { state, deliveredId, lastSuccessAt, lastError, failures, failingSince, nextAttemptAt } = status;
  return {
    id,
    url,
    types: types === null ? null : [...types],
    sandbox,
    labels: [...labels],
    createdAt: createdAt.toISOString(),
    state,
    deliveredId,
    lastError,
    failures,
    lastSuccessAt: lastSuccessAt?.toISOString() ?? null,
    failingSince: failingSince?.toISOString() ?? null,
    nextAttemptAt: nextAttemptAt?.toISOString() ?? null,
  };
}
