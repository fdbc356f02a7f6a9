import { readSigningKey } from "../layers/signatures/keys.ts";
import { signManifest } from "../layers/signatures/signature.ts";
import { parseDigest } from "../model/ids.ts";
import type { LayerSignature } from "../model/layer.ts";

/**
 * Signs digests of manifests with a key of this machine.
 * @throws PlyboxError `input/invalid` for what is no private ed25519 key in PEM
 */
export async function openSigner(path: string): Promise<(manifestDigest: string) => LayerSignature> {
  const key = await readSigningKey(path);
  return (manifestDigest) => signManifest(key, parseDigest(manifestDigest));
}
