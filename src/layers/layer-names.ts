import { PlyboxError } from "../model/errors.ts";
import type { LayerName } from "../model/ids.ts";

/** `NNN-name` or `name` alone. */
const REFERENCE = /^[a-z0-9][a-z0-9._-]{0,67}$/;

const NUMBER_LENGTH = "NNN-".length;

/**
 * The layer among `known` that `text` means: its whole name, or the part after the number where only one has it.
 * @throws PlyboxError `input/invalid` for what can be no layer's name or means several, `layer/not-found`
 */
export function matchLayerName(text: string, known: ReadonlySet<LayerName>): LayerName {
  if (known.has(text as LayerName)) return text as LayerName;
  if (!REFERENCE.test(text)) {
    const shown = JSON.stringify(text.slice(0, 80));
    throw new PlyboxError("input/invalid", `not a layer's name: ${shown}; it is NNN-name or name`, { field: "layers" });
  }
  const matches = [...known].filter((name) => name.slice(NUMBER_LENGTH) === text);
  const [only] = matches;
  if (only === undefined) {
    const names = [...known].sort().join(", ");
    throw new PlyboxError("layer/not-found", `there is no layer ${text}; there are ${names}`, { field: "layers" });
  }
  if (matches.length > 1) {
    throw new PlyboxError("input/invalid", `${text} may be ${matches.sort().join(" or ")}`, { field: "layers" });
  }
  return only;
}

export const gone = (layer: string): PlyboxError => new PlyboxError("layer/not-found", `there is no layer ${layer}`);

/** Order in the stack, bottom first: by number; layers of one number stay in the order in which they were asked for. */
export const stackOrder = (a: LayerName, b: LayerName): number =>
  Number(a.slice(0, NUMBER_LENGTH - 1)) - Number(b.slice(0, NUMBER_LENGTH - 1));
