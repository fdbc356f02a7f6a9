import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../base/atomic-file.ts";
import type { LayerManifest, LayerSignature } from "../../model/layer.ts";
import { parseManifest } from "../manifest.ts";
import type { StoredLayers } from "../stored-layers.ts";
import { corrupt } from "../stored-layers.ts";
import { canonicalManifest } from "./canonical-manifest.ts";
import { parseSignatures } from "./signature.ts";

/** A manifest with whoever vouches for it. It travels with its signatures: another one of the same image would not match. */
export interface SignedManifest {
  readonly manifest: LayerManifest;
  readonly signatures: readonly LayerSignature[];
}

/** Where a layer's directory has what was signed under a name. */
const signedPath = (directory: string, { name }: LayerManifest): string => join(directory, `signed.${name}.json`);

/**
 * What was signed of a layer under the name by which it was asked for, or its manifest as it is.
 * @throws PlyboxError `layer/corrupt`
 */
export async function readSigned(layers: StoredLayers, manifest: LayerManifest): Promise<SignedManifest> {
  const path = signedPath(layers.directory(manifest.digest), manifest);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (text === undefined) return { manifest, signatures: [] };
  try {
    const signed = parseSigned(text);
    const { name, digest } = signed.manifest;
    if (name !== manifest.name || digest !== manifest.digest) throw new Error("what was signed is of another layer");
    return signed;
  } catch (cause) {
    throw corrupt(manifest.name, (cause as Error).message, cause);
  }
}

/** Writes what was signed into a layer's directory, staged or not. */
export async function writeSigned(directory: string, signed: SignedManifest): Promise<void> {
  await writeFileAtomically(signedPath(directory, signed.manifest), formatSigned(signed), 0o600);
}

export const formatSigned = ({ manifest, signatures }: SignedManifest): string =>
  `{"manifest":${canonicalManifest(manifest)},"signatures":${JSON.stringify(signatures)}}\n`;

/** @throws Error saying what is wrong */
export function parseSigned(text: string): SignedManifest {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) throw new Error("what was signed is malformed");
  const { manifest, signatures, ...unknown } = value as Readonly<Record<string, unknown>>;
  const [field] = Object.keys(unknown);
  if (field !== undefined) throw new Error(`what was signed has the unknown field ${JSON.stringify(field)}`);
  return { manifest: parseManifest(JSON.stringify(manifest)), signatures: parseSignatures(signatures) };
}

/** The same with one more signature; one of the same key goes. */
export function withSignature({ manifest, signatures }: SignedManifest, added: LayerSignature): SignedManifest {
  return { manifest, signatures: [...signatures.filter(({ keyId }) => keyId !== added.keyId), added] };
}
