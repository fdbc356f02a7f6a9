import { rename, rm } from "node:fs/promises";
import { PlyboxError } from "../../model/errors.ts";
import type { Digest, LayerName } from "../../model/ids.ts";
import type { ImageFormat, LayerManifest } from "../../model/layer.ts";
import type { Catalog } from "../catalog.ts";
import { tooLarge } from "../image-bounds.ts";
import { BUSYBOX_LAYER, HOST_LAYER } from "../layer-builder.ts";
import { imagePath } from "../pack-image.ts";
import { giveName, nameTaken } from "../publish.ts";
import type { SignaturePolicy } from "../signatures/signature-policy.ts";
import { requireTrust } from "../signatures/signature-policy.ts";
import type { SignedManifest } from "../signatures/signed-manifests.ts";
import { writeSigned } from "../signatures/signed-manifests.ts";
import { corrupt } from "../stored-layers.ts";
import { readSuperblock } from "../superblock.ts";

const SHORT_DIGEST = 12;
/** Of what a name may have. */
const LONGEST_NAME = 67;

/** A layer that has come from elsewhere: its image matches the digest, its manifest is anybody's word. */
export interface Arrival {
  readonly signed: SignedManifest;
  /** Where its image is, in the store's file system; it is taken from there. Null where the layer is here already. */
  readonly image: string | null;
  /** It was not asked for by its name: where that is taken it stands beside it under its digest. */
  readonly yieldsName?: boolean;
}

export interface IntakeOptions {
  readonly policy: SignaturePolicy;
  /** Take names from the layers that have them. */
  readonly replace: boolean;
}

/**
 * Judges a manifest from elsewhere before its image is fetched or looked at.
 * @throws PlyboxError `layer/untrusted`, `input/invalid` for what no other machine can have
 */
export function admit({ manifest, signatures }: SignedManifest, policy: SignaturePolicy): void {
  const { name, format, binds } = manifest;
  if (name === HOST_LAYER || format === "dir" || binds.length > 0) {
    throw new PlyboxError("input/invalid", `layer ${name} is refused: it shows another machine's own files`);
  }
  requireTrust(policy, manifest, signatures);
}

/**
 * Puts layers from elsewhere into the catalog, in the given order, parents first. Every one is judged before the first
 * one is visible. Returns their manifests under the names that they have here.
 * @throws PlyboxError as `admit`, `layer/exists`, `layer/corrupt`, `layer/too-large`
 */
export async function takeIn(
  catalog: Catalog,
  arrivals: readonly Arrival[],
  { policy, replace }: IntakeOptions,
): Promise<readonly LayerManifest[]> {
  for (const arrival of arrivals) {
    const { signed, image } = arrival;
    admit(signed, policy);
    if (image !== null) await judgeImage(catalog, signed.manifest, image);
    const holder = catalog.names.current().get(localName(catalog, arrival));
    if (holder !== undefined && holder !== signed.manifest.digest && !replace) throw nameTaken(signed.manifest.name);
  }
  const digests = new Set(arrivals.map(({ signed }) => signed.manifest.digest));
  // Without a name yet, only the pin keeps a sweep from taking it.
  for (const digest of digests) catalog.pins.hold(digest);
  try {
    const taken: LayerManifest[] = [];
    for (const arrival of arrivals) {
      const { digest } = arrival.signed.manifest;
      const name = localName(catalog, arrival);
      await install(catalog, arrival);
      await giveName(catalog, name, digest, replace);
      taken.push(await catalog.layers.manifest(digest, name));
    }
    return taken;
  } finally {
    for (const digest of digests) {
      catalog.pins.drop(digest);
      await catalog.discardUnnamed(digest);
    }
  }
}

/** What Plybox makes itself keeps its name to this machine's own: another one stands beside it under its digest. */
function localName(catalog: Catalog, { signed, yieldsName }: Arrival): LayerName {
  const { name, digest } = signed.manifest;
  const holder = catalog.names.current().get(name);
  const isFree = holder === digest || (holder === undefined && name !== BUSYBOX_LAYER);
  if (isFree || (name !== BUSYBOX_LAYER && yieldsName !== true)) return name;
  return `${name.slice(0, LONGEST_NAME - SHORT_DIGEST - 1)}-${digest.slice(0, SHORT_DIGEST)}` as LayerName;
}

async function judgeImage(catalog: Catalog, { name, format }: LayerManifest, image: string): Promise<void> {
  const superblock = await readSuperblock(image, format as ImageFormat);
  if (typeof superblock === "string") throw corrupt(name, superblock);
  if (superblock.inodes > catalog.layers.bounds.inodes) {
    throw tooLarge(name, `it has ${superblock.inodes} inodes, and ${catalog.layers.bounds.inodes} are allowed`);
  }
}

async function install(catalog: Catalog, { signed, image }: Arrival): Promise<void> {
  const { manifest, signatures } = signed;
  if (image !== null) {
    const staging = await catalog.stage();
    try {
      await rename(image, imagePath(staging, manifest.format as ImageFormat));
      await catalog.install(staging, manifest);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  } else if (!catalog.layers.has(manifest.digest)) throw corrupt(manifest.name, "it went away while it was taken in");
  if (signatures.length > 0) await writeSigned(catalog.layers.directory(manifest.digest as Digest), signed);
}
