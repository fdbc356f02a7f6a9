import type { KeyObject } from "node:crypto";
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { PlyboxError } from "../../model/errors.ts";

/** SHA-256 of the public half in DER, by which a signature names its key. */
export function keyIdOf(key: KeyObject): string {
  const half = key.type === "private" ? createPublicKey(key) : key;
  return createHash("sha256")
    .update(half.export({ type: "spki", format: "der" }))
    .digest("hex");
}

/**
 * Reads a private key in PEM, as `openssl genpkey -algorithm ed25519` writes it.
 * @throws PlyboxError `input/invalid` for what cannot be read or is no private ed25519 key
 */
export async function readSigningKey(path: string): Promise<KeyObject> {
  return await readKey(path, (pem) => createPrivateKey(pem));
}

/**
 * Reads a public key in PEM.
 * @throws PlyboxError `input/invalid` for what cannot be read or is no public ed25519 key
 */
export async function readTrustedKey(path: string): Promise<KeyObject> {
  return await readKey(path, (pem) => {
    // Node would take the public half of a private key, which has no business where keys are only compared.
    if (pem.includes("PRIVATE KEY")) throw new Error("it is a private key; give its public half");
    return createPublicKey(pem);
  });
}

async function readKey(path: string, parse: (pem: string) => KeyObject): Promise<KeyObject> {
  try {
    const key = parse(await readFile(path, "utf8"));
    if (key.asymmetricKeyType !== "ed25519")
      throw new Error(`it is a key for ${key.asymmetricKeyType}, and not ed25519`);
    return key;
  } catch (cause) {
    const message = `the key ${JSON.stringify(path)} cannot be used: ${(cause as Error).message}`;
    throw new PlyboxError("input/invalid", message, { cause });
  }
}
