import type { KeyObject } from "node:crypto";
import { sign, verify } from "node:crypto";
import type { Digest } from "../../model/ids.ts";
import type { LayerSignature } from "../../model/layer.ts";
import { keyIdOf } from "./keys.ts";

const ALGORITHM = "ed25519";
const KEY_ID = /^[0-9a-f]{64}$/;
const SIGNATURE_BYTES = 64;
/** No layer has that many signers, and each costs a look at every trusted key. */
const MOST_SIGNATURES = 16;
const FIELDS: ReadonlySet<string> = new Set(["algorithm", "keyId", "value"]);

/** What is signed: a text of its own, so that no signature made for another purpose passes for one of a layer. */
const statementOf = (manifest: Digest): Buffer => Buffer.from(`plybox layer manifest v1\nsha256:${manifest}\n`);

/** @param manifest the canonical manifest's digest */
export function signManifest(key: KeyObject, manifest: Digest): LayerSignature {
  const value = sign(null, statementOf(manifest), key).toString("base64");
  return { algorithm: ALGORITHM, keyId: keyIdOf(key), value };
}

/** Whether the holder of the private half of `key` signed that manifest. */
export const isSignedBy = (key: KeyObject, manifest: Digest, signature: LayerSignature): boolean =>
  signature.keyId === keyIdOf(key) && verify(null, statementOf(manifest), key, Buffer.from(signature.value, "base64"));

/**
 * Parses signatures strictly: whatever is not understood is an error, since a signature that is passed over is one
 * that nobody checks.
 * @throws Error saying what is wrong
 */
export function parseSignatures(value: unknown): readonly LayerSignature[] {
  if (!Array.isArray(value)) throw new Error("its signatures are no list");
  if (value.length > MOST_SIGNATURES)
    throw new Error(`it has ${value.length} signatures; ${MOST_SIGNATURES} are allowed`);
  const signatures = value.map(parseSignature);
  if (new Set(signatures.map(({ keyId }) => keyId)).size < signatures.length) {
    throw new Error("it has two signatures of one key");
  }
  return signatures;
}

function parseSignature(item: unknown): LayerSignature {
  if (typeof item !== "object" || item === null) throw new Error("one of its signatures is malformed");
  const unknown = Object.keys(item).find((name) => !FIELDS.has(name));
  if (unknown !== undefined) throw new Error(`one of its signatures has the unknown field ${JSON.stringify(unknown)}`);
  const { algorithm, keyId, value } = item as Readonly<Record<string, unknown>>;
  if (algorithm !== ALGORITHM) {
    throw new Error(`one of its signatures has the unknown algorithm ${JSON.stringify(algorithm)?.slice(0, 80)}`);
  }
  if (typeof keyId !== "string" || !KEY_ID.test(keyId)) throw new Error("one of its signatures names no key");
  if (typeof value !== "string" || !isSignatureText(value)) {
    throw new Error(`its signature by the key ${keyId.slice(0, 12)} is malformed`);
  }
  return { algorithm, keyId, value };
}

/** One text for one signature: base64 can say the same bytes in several ways. */
function isSignatureText(text: string): boolean {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === SIGNATURE_BYTES && bytes.toString("base64") === text;
}
