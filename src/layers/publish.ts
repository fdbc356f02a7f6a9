import { PlyboxError } from "../model/errors.ts";
import type { Digest, LayerName } from "../model/ids.ts";
import type { Catalog } from "./catalog.ts";

/**
 * Gives a name to a layer that is in the catalog.
 * @throws PlyboxError `layer/exists` where the name has other content and that is not to be replaced
 */
export async function giveName(catalog: Catalog, name: LayerName, digest: Digest, replace: boolean): Promise<void> {
  const { names } = catalog;
  if (names.claim(name, digest)) return;
  const holder = names.current().get(name);
  if (holder === digest) return;
  if (holder !== undefined && !replace) throw nameTaken(name);
  names.point(name, digest);
  // What is still in use goes with its last user.
  if (holder !== undefined) await catalog.discardUnnamed(holder);
}

export const nameTaken = (name: LayerName): PlyboxError =>
  new PlyboxError("layer/exists", `layer ${name} exists already, with other content; remove or replace it`, {
    field: "name",
  });
