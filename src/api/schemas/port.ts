import * as z from "zod";
import { sandboxParams } from "./sandbox.ts";

const port = z.int().min(1).max(65_535);
const expiresInSeconds = z.int().min(1).max(31_536_000);

export const portsQuery = z.strictObject({
  wait: z.exactOptional(port.describe("A port to wait for: the answer comes when something listens on it.")),
  timeoutMs: z.exactOptional(z.int().min(0).max(60_000).describe("How long to wait; 30,000 by default.")),
});

export const portList = z.object({
  ports: z.array(
    z.object({ port, addresses: z.array(z.string()).describe("Where it is bound, such as 127.0.0.1 or ::.") }),
  ),
});

export const dialQuery = z.strictObject({
  port: z.exactOptional(port),
  host: z.exactOptional(z.string().min(1).max(45)),
  socket: z.exactOptional(z.string().min(1).max(4096)),
});

export const createPortTokenBody = z.strictObject({
  port: port.describe("The one that it opens."),
  expiresInSeconds: z.exactOptional(expiresInSeconds.describe("Never by default; it ends with the sandbox anyway.")),
});

export const portTokenView = z.object({
  id: z.string(),
  port,
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
});

export const newPortTokenView = portTokenView.extend({ token: z.string().describe("Told this once.") });

export const portTokenList = z.object({ tokens: z.array(portTokenView) });

export const portTokenParams = sandboxParams.extend({ token: z.string().min(1).max(64).describe("Its id.") });

export const signUrlBody = z.strictObject({
  port,
  expiresInSeconds: expiresInSeconds.describe("From now."),
  path: z.exactOptional(
    z
      .string()
      .max(1024)
      .regex(/^\/[^\s?#\\]*$/, "must begin with / and hold no query")
      .describe("It opens this path and what is below it; / by default."),
  ),
  methods: z.exactOptional(
    z
      .array(z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))
      .min(1)
      .max(7)
      .describe("GET and HEAD by default. A WebSocket begins as a GET."),
  ),
});

export const signedUrlView = z.object({
  path: z.string().describe("Path and query of this daemon."),
  url: z.url().nullable().describe("With the sandbox's own host name, where portDomain is set."),
  token: z.string().describe("What the query carries, for other addresses of the same port."),
  expiresAt: z.iso.datetime(),
});
