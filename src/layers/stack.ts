import type { Digest, LayerName } from "../model/ids.ts";
import type { LayerManifest } from "../model/layer.ts";

/** Layers that a sandbox stands on, in no order yet, and what of them may not fit together. */
export interface Stack {
  readonly layers: readonly LayerManifest[];
  readonly warnings: readonly string[];
}

/** What there is. */
export interface KnownLayers {
  /** Undefined where there is no such layer, or none that can be read. */
  find(digest: Digest): Promise<LayerManifest | undefined>;
  /** What a name means now. */
  current(name: LayerName): Digest | undefined;
}

interface Parent {
  readonly digest: Digest;
  /** Undefined where nobody wrote it down. */
  readonly name: LayerName | undefined;
}

const SHORT_DIGEST = 12;

/**
 * The layers that were asked for and, below them, those that they were made on. One that was asked for by the name that a
 * parent had takes the parent's place.
 */
export async function stackOf(asked: readonly LayerManifest[], known: KnownLayers): Promise<Stack> {
  const stack = new Map<Digest, LayerManifest>();
  const names = new Map(asked.map((layer) => [layer.name, layer.digest]));
  const asks = new Set(asked.map(({ digest }) => digest));
  const warnings: string[] = [];
  const seen = new Set<Digest>();
  const add = async (layer: LayerManifest): Promise<void> => {
    // Whoever made them up may have made them on one another.
    if (seen.has(layer.digest)) return;
    seen.add(layer.digest);
    for (const parent of parentsOf(layer)) {
      const inPlace = parent.name === undefined ? undefined : names.get(parent.name);
      const isAsked = asks.has(parent.digest) || inPlace !== undefined;
      const found = isAsked ? undefined : ((await known.find(parent.digest)) ?? (await replacement(parent, known)));
      const current = parent.name && known.current(parent.name);
      warnings.push(...warningsOf(layer, parent, { inPlace, current, isGone: !isAsked && found === undefined }));
      if (found !== undefined) await add(found);
    }
    stack.set(layer.digest, layer);
  };
  for (const layer of asked) await add(layer);
  return { layers: [...stack.values()], warnings: [...new Set(warnings)] };
}

async function replacement({ name }: Parent, known: KnownLayers): Promise<LayerManifest | undefined> {
  const digest = name && known.current(name);
  return digest && (await known.find(digest));
}

/** Of a parent. */
interface Whereabouts {
  /** What was asked for by its name. */
  readonly inPlace: Digest | undefined;
  /** What its name means now. */
  readonly current: Digest | undefined;
  readonly isGone: boolean;
}

function warningsOf(
  { name }: LayerManifest,
  parent: Parent,
  { inPlace, current, isGone }: Whereabouts,
): readonly string[] {
  const made = `${name} was made on ${parent.name ?? "a layer"} ${short(parent.digest)}`;
  if (inPlace !== undefined && inPlace !== parent.digest) return [`${made}, and stands on ${short(inPlace)} here`];
  if (isGone) return [`${made}, which is gone`];
  if (current === undefined || current === parent.digest) return [];
  return [`${made}, which is ${short(current)} now; build it again to have what changed`];
}

function parentsOf({ parents, provenance: { inputs = [] } }: LayerManifest): readonly Parent[] {
  return parents.map((digest) => ({
    digest,
    name: inputs.find((input) => input.kind === "layer" && input.digest === `sha256:${digest}`)?.name as
      | LayerName
      | undefined,
  }));
}

const short = (digest: Digest): string => digest.slice(0, SHORT_DIGEST);
