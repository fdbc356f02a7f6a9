import type { LayerListView, LayerSignatureView, LayerView, SignedLayerView } from "../api/contract.ts";
import { bodyOf, jsonOf } from "./bodies.ts";
import type { CallOptions, Connection } from "./connection.ts";
import type { FileContent } from "./files.ts";

export type LayerSignature = LayerSignatureView;
export type SignedLayer = SignedLayerView;

export interface ExportLayersOptions extends CallOptions {
  /** Also the layers that they were made on. */
  readonly parents?: boolean;
  /** An artifact each, by default, or together an image of tar layers, as container engines run it. */
  readonly as?: "artifacts" | "image";
}

export interface ImportLayersOptions extends CallOptions {
  /** Take names from the layers that have them. */
  readonly replace?: boolean;
  /** Refuse what no trusted key has signed, also where the daemon is not configured to. */
  readonly requireSignature?: boolean;
}

/** The archive as it comes; one that breaks off throws `daemon/unreachable`. */
export async function exportLayers(
  connection: Connection,
  names: readonly string[],
  { parents, as, signal }: ExportLayersOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const query = queryOf({ parents, as });
  for (const name of names) query.append("layer", name);
  return (await connection.open("GET", `/v1/layer-archive?${query}`, { headers: {} }, { signal })).chunks();
}

export async function importLayers(
  connection: Connection,
  archive: FileContent,
  { signal, ...fields }: ImportLayersOptions,
): Promise<readonly LayerView[]> {
  const asked = { headers: { "content-type": "application/x-tar" }, body: bodyOf(archive) };
  const response = await connection.open("POST", `/v1/layer-archive?${queryOf(fields)}`, asked, { signal });
  return (await jsonOf<LayerListView>(response)).layers;
}

function queryOf(fields: Readonly<Record<string, boolean | string | undefined>>): URLSearchParams {
  const query = new URLSearchParams();
  for (const [field, value] of Object.entries(fields)) if (value !== undefined) query.set(field, String(value));
  return query;
}
