import type { LayerName } from "../model/ids.ts";

/** Another place for layers, which a store asks for what it does not have and tells of what it has built. */
export interface Elsewhere {
  /** Puts a layer into the store. False where it is not there either. `isHere` says whether somebody else just did. */
  fetchMissing(layer: string, isHere: () => boolean): Promise<boolean>;
  /** Keeps a layer that was just built, also in place of another of its name; the build is done when this is. */
  keep(layer: LayerName, replace: boolean): Promise<void>;
}
