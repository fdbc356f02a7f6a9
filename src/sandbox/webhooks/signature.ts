import { createHmac, randomBytes } from "node:crypto";
import { PlyboxError } from "../../model/errors.ts";

const PREFIX = "whsec_";
const MIN_BYTES = 24;
const MAX_BYTES = 64;

/** A secret as Standard Webhooks writes it: `whsec_` and base64. */
export const newSecret = (): string => PREFIX + randomBytes(32).toString("base64");

/**
 * The key of a secret.
 * @throws PlyboxError `input/invalid`
 */
export function keyOf(secret: string): Buffer {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : "";
  const key = Buffer.from(text, "base64");
  if (key.toString("base64") === text && key.length >= MIN_BYTES && key.length <= MAX_BYTES) return key;
  throw new PlyboxError("input/invalid", `a secret is ${PREFIX} and ${MIN_BYTES} to ${MAX_BYTES} bytes in base64`, {
    field: "secret",
  });
}

/** The headers of one message by the rules of Standard Webhooks: its id is the same for every attempt. */
export function signedHeaders(secret: string, id: string, body: string, now: Date): Readonly<Record<string, string>> {
  const timestamp = Math.floor(now.getTime() / 1000);
  const signature = createHmac("sha256", keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": `${timestamp}`, "webhook-signature": `v1,${signature}` };
}
