import type { KeyObject } from "node:crypto";
import { PlyboxError } from "../../model/errors.ts";
import type { LayerManifest, LayerSignature } from "../../model/layer.ts";
import { manifestDigest } from "./canonical-manifest.ts";
import { keyIdOf, readTrustedKey } from "./keys.ts";
import { isSignedBy } from "./signature.ts";

/** Whose word counts for layers that come from elsewhere. */
export interface SignaturePolicy {
  readonly trusted: readonly KeyObject[];
  /** Whether a layer without the signature of a trusted key is refused. */
  readonly required: boolean;
}

/** Layers come without signatures; one that names a key of ours could not even be checked. */
export const NO_SIGNATURES: SignaturePolicy = { trusted: [], required: false };

/**
 * Reads the keys that are trusted. One that cannot be read fails all: what it would have refused might pass without it.
 * @throws PlyboxError `input/invalid`
 */
export async function readSignaturePolicy(paths: readonly string[], required: boolean): Promise<SignaturePolicy> {
  if (required && paths.length === 0) {
    throw new PlyboxError("input/invalid", "signatures are required, and no key is trusted", { field: "trustedKeys" });
  }
  return { trusted: await Promise.all(paths.map(readTrustedKey)), required };
}

/**
 * Lets a layer from elsewhere in, or throws. A signature that names a trusted key must be one of that key, whether or
 * not signatures are required.
 * @throws PlyboxError `layer/untrusted`
 */
export function requireTrust(
  { trusted, required }: SignaturePolicy,
  manifest: LayerManifest,
  signatures: readonly LayerSignature[],
): void {
  const digest = manifestDigest(manifest);
  let isTrusted = false;
  for (const signature of signatures) {
    const key = trusted.find((candidate) => keyIdOf(candidate) === signature.keyId);
    if (key === undefined) continue;
    if (!isSignedBy(key, digest, signature)) {
      throw untrusted(manifest, `its signature by the key ${signature.keyId.slice(0, 12)} is of something else`);
    }
    isTrusted = true;
  }
  if (required && !isTrusted) {
    const by = signatures.map(({ keyId }) => keyId.slice(0, 12)).join(", ");
    throw untrusted(manifest, by === "" ? "it is not signed" : `it is signed by ${by}, which is not trusted`);
  }
}

const untrusted = ({ name }: LayerManifest, reason: string): PlyboxError =>
  new PlyboxError("layer/untrusted", `layer ${name} is refused: ${reason}`);
