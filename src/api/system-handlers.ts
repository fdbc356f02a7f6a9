import { json } from "./answers.ts";
import { openApiDocument } from "./openapi.ts";
import type { Handlers } from "./route.ts";
import type { SystemRoutes } from "./routes.ts";

export interface SystemHandlerOptions {
  readonly version: string;
  /** Why sandboxes cannot be made now; empty when they can. */
  readonly ready: () => readonly string[] | Promise<readonly string[]>;
}

export function systemHandlers({ version, ready }: SystemHandlerOptions): Handlers<SystemRoutes> {
  let document: object | undefined;
  return {
    getHealth: () => json(200, { status: "ok" }),
    async getReady() {
      const reasons = await ready();
      return json(reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
    },
    getVersion: () => json(200, { version, api: "v1" }),
    getOpenApi() {
      document ??= openApiDocument(version);
      return json(200, document);
    },
  };
}
