import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { PlyboxError } from "../model/errors.ts";
import type { LayerManifest, LayerSignature } from "../model/layer.ts";
import { json } from "./answers.ts";
import type { SignedLayerView } from "./contract.ts";
import { receiveBody, sendHead, sendStream } from "./file-transfer.ts";
import { requireSeen } from "./gate.ts";
import { layerView } from "./layer-handlers.ts";
import type { Handlers } from "./route.ts";
import type { TRANSFER_ROUTES } from "./transfer-routes.ts";

/** A manifest with its signatures, and the digest that they are over. */
interface Signed {
  readonly manifest: LayerManifest;
  readonly manifestDigest: string;
  readonly signatures: readonly LayerSignature[];
}

/** What the API needs of the store to take layers to other machines and from them. */
export interface Transfer {
  /** Throws `layer/not-found`, `layer/corrupt`, and `input/invalid` for what cannot leave the machine. */
  export(layers: readonly string[], options: ExportOptions): Promise<Exported>;
  /** Throws `file/bad-archive`, `layer/untrusted`, `layer/exists` and what building fails with. */
  import(archive: AsyncIterable<Buffer>, options: ImportOptions): Promise<readonly LayerManifest[]>;
  signed(layer: string): Promise<Signed>;
  /** Throws `layer/untrusted`. */
  addSignature(layer: string, signature: LayerSignature): Promise<Signed>;
}

interface ExportOptions {
  readonly parents: boolean;
  readonly as: "artifacts" | "image";
}

interface Exported extends AsyncDisposable {
  chunks(): AsyncGenerator<Buffer>;
}

interface ImportOptions {
  readonly replace: boolean;
  readonly requireSignature: boolean;
  readonly signal: AbortSignal;
}

export function transferHandlers(transfer: Transfer): Handlers<typeof TRANSFER_ROUTES> {
  return {
    async exportLayers({ query, incoming, outgoing }) {
      const { layer, parents = false, as = "artifacts" } = query;
      await using exported = await transfer.export(layer, { parents, as });
      const head = { status: 200, headers: { "content-type": "application/x-tar", "cache-control": "no-store" } };
      if (incoming.method === "HEAD") return sendHead(head);
      return await sendStream((to) => pipeline(exported.chunks(), to, { end: false }), outgoing, head);
    },
    async importLayers({ query, incoming, signal }) {
      const { replace = false, requireSignature = false } = query;
      const archive = new PassThrough();
      // Whichever fails first is the answer: a body that is cut off, or an import that wants no more of it.
      const importing = transfer.import(archive, { replace, requireSignature, signal });
      const received = receiveBody(incoming, archive).catch((error: unknown) => {
        // What has ended the import closes its end of the body, which says less than the import does.
        if (error instanceof PlyboxError) throw error;
        return importing;
      });
      await Promise.race([received, importing]);
      return json(201, { layers: (await importing).map(layerView) });
    },
    async getLayerSignatures({ principal, params }) {
      const signed = await transfer.signed(params.layer);
      requireSeen(principal, signed.manifest.name);
      return json(200, signedView(signed));
    },
    async addLayerSignature({ params, body }) {
      return json(200, signedView(await transfer.addSignature(params.layer, body)));
    },
  };
}

const signedView = ({ manifest, manifestDigest, signatures }: Signed): SignedLayerView => ({
  manifest: layerView(manifest),
  manifestDigest,
  signatures: [...signatures],
});
