import { randomBytes } from "node:crypto";
import { PlyboxError } from "./errors.ts";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** `sb_` + 26 characters of Crockford base32 in lower case. */
export type SandboxId = Branded<"SandboxId">;
/** `ex_` + 26 characters of Crockford base32 in lower case. */
export type ExecId = Branded<"ExecId">;
/** `cp_` + 26 characters of Crockford base32 in lower case. */
export type CheckpointId = Branded<"CheckpointId">;
/** A sandbox name: a DNS label, so that it can be a host name too. */
export type SandboxName = Branded<"SandboxName">;
/** A layer's name: `NNN-name`, the number being its place in the stack. */
export type LayerName = Branded<"LayerName">;
/** Lower-case hexadecimal SHA-256. */
export type Digest = Branded<"Digest">;

/** Crockford base32 in lower case. */
export const ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const SANDBOX_ID = /^sb_[0-9a-hjkmnp-tv-z]{26}$/;
/** Exported for the API's schemas, which publish the patterns. */
export const EXEC_ID = /^ex_[0-9a-hjkmnp-tv-z]{26}$/;
const CHECKPOINT_ID = /^cp_[0-9a-hjkmnp-tv-z]{26}$/;
export const SANDBOX_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
export const LAYER_NAME = /^[0-9]{3}-[a-z0-9](?:[a-z0-9._-]{0,62})$/;
const DIGEST = /^[0-9a-f]{64}$/;

const CHANCE_BYTES = 16;
/** Asking the kernel for a few bytes takes as long as asking for many. */
let chance = Buffer.alloc(0);

function takeChance(): Buffer {
  if (chance.length < CHANCE_BYTES) chance = randomBytes(64 * CHANCE_BYTES);
  const taken = chance.subarray(0, CHANCE_BYTES);
  chance = chance.subarray(CHANCE_BYTES);
  return taken;
}

/** 10 characters of time and 16 of chance: ids of one host sort by age. */
function sortable(): string {
  let text = "";
  for (let time = Date.now(), i = 0; i < 10; i++, time = Math.floor(time / 32)) {
    text = ID_ALPHABET.charAt(time % 32) + text;
  }
  for (const byte of takeChance()) text += ID_ALPHABET.charAt(byte & 31);
  return text;
}

export const newSandboxId = (): SandboxId => `sb_${sortable()}` as SandboxId;
/** `wh_` + 26 characters. */
export const newWebhookId = (): string => `wh_${sortable()}`;
export const isSandboxId = (text: string): text is SandboxId => SANDBOX_ID.test(text);
export const newCheckpointId = (): CheckpointId => `cp_${sortable()}` as CheckpointId;
export const isCheckpointId = (text: string): text is CheckpointId => CHECKPOINT_ID.test(text);
export const newExecId = (): ExecId => `ex_${sortable()}` as ExecId;

function parser<T extends string>(kind: string, pattern: RegExp, shape: string) {
  return (text: string, field?: string): T => {
    if (pattern.test(text)) return text as T;
    throw new PlyboxError("input/invalid", `not a valid ${kind}: ${JSON.stringify(text.slice(0, 80))}; ${shape}`, {
      ...(field !== undefined && { field }),
    });
  };
}

/** @throws PlyboxError `input/invalid` */
export const parseSandboxName = parser<SandboxName>(
  "sandbox name",
  SANDBOX_NAME,
  "it is 1 to 63 of a-z, 0-9 and -, not starting or ending with -",
);
/** @throws PlyboxError `input/invalid` */
export const parseLayerName = parser<LayerName>("layer name", LAYER_NAME, "it is three digits, - and a-z 0-9 . _ -");
/** @throws PlyboxError `input/invalid` */
export const parseDigest = parser<Digest>("digest", DIGEST, "it is 64 hexadecimal digits");
