import type { Route } from "./route.ts";
import { layerList, layerParams } from "./schemas/layer.ts";
import { exportQuery, importQuery, layerSignature, signedLayer } from "./schemas/transfer.ts";

/** Layers on their way to other machines and from them. */
export const TRANSFER_ROUTES = {
  exportLayers: {
    method: "GET",
    path: "/v1/layer-archive",
    summary: "Layers as one file: a tar archive in the OCI layout",
    query: exportQuery,
    answers: {
      200: { description: "The archive, cut off where a layer turns out damaged", bytes: "application/x-tar" },
    },
    errors: ["layer/not-found", "layer/corrupt", "layer/too-large", "layer/build-failed", "host/missing"],
  },
  importLayers: {
    method: "POST",
    path: "/v1/layer-archive",
    summary: "Take in the layers of the archive that is the body",
    query: importQuery,
    body: "bytes",
    answers: { 201: { description: "The layers, those that others were made on first", json: layerList } },
    errors: [
      "file/bad-archive",
      "layer/untrusted",
      "layer/exists",
      "layer/corrupt",
      "layer/too-large",
      "layer/build-failed",
    ],
  },
  getLayerSignatures: {
    method: "GET",
    path: "/v1/layers/:layer/signatures",
    summary: "A layer's manifest as it is signed, and its signatures",
    params: layerParams,
    answers: { 200: { description: "Who vouches for what", json: signedLayer } },
    errors: ["layer/not-found", "layer/corrupt"],
  },
  addLayerSignature: {
    method: "POST",
    path: "/v1/layers/:layer/signatures",
    summary: "Keep a signature with a layer, in place of one by the same key",
    params: layerParams,
    body: layerSignature,
    answers: { 200: { description: "Who vouches for what", json: signedLayer } },
    errors: ["layer/not-found", "layer/corrupt", "layer/untrusted"],
  },
} as const satisfies Record<string, Route>;
