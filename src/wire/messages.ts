import { clipped, integer, list, matching, object, oneOf, text } from "./strict-reader.ts";

/** The generation of docs/protocol.md that this code speaks. */
export const GENERATION = 1;

/** What a link's peer says of itself, once. */
export interface PeerHello {
  readonly generation: number;
  readonly role: "agent" | "launcher";
  readonly version: string;
  readonly sandbox: string;
  readonly incarnation: number;
  /** The request types that it serves, and what else it can. */
  readonly capabilities: readonly string[];
}

/** Why a peer refused a request, in its own words. */
export interface ErrorMessage {
  readonly code: string;
  readonly message: string;
  readonly field?: string;
  readonly step?: string;
  readonly errno?: string;
}

const word = matching(/^[a-z][a-z0-9-]{0,63}$/);

export const readHello = object<PeerHello>({
  generation: integer(1),
  role: oneOf("agent", "launcher"),
  version: text(64),
  sandbox: text(64),
  incarnation: integer(0),
  capabilities: list(word, 64),
});

export const readError = object<ErrorMessage>(
  { code: word, message: clipped(4096) },
  { field: text(1024), step: text(256), errno: matching(/^E[A-Z0-9]{1,31}$/) },
);

/** The `ack` of a request that has no answer but success. */
export const readEmpty = object<Record<never, never>>({});
