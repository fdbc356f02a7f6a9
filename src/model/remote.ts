import type { Digest, LayerName } from "./ids.ts";

/** How far a transfer is, of one layer's image. */
export interface RemoteProgress {
  readonly step: "push" | "pull";
  readonly layer: LayerName;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What became of a layer: its image went there or came from there, was there already, or its name has other content there. */
export type RemoteOutcome = "pushed" | "pulled" | "present" | "conflict";

export interface MovedLayer {
  readonly name: LayerName;
  readonly digest: Digest;
  /** Of the image. */
  readonly bytes: number;
  readonly outcome: RemoteOutcome;
}

export interface RemoteOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: RemoteProgress) => void;
}

export interface PushOptions extends RemoteOptions {
  /** Give names to other content than they have there. */
  readonly replace?: boolean;
}

export interface PullOptions extends RemoteOptions {
  /** Take names from the layers that have them here. */
  readonly replace?: boolean;
  /** Refuse what no trusted key has signed, also where the configuration does not. */
  readonly requireSignature?: boolean;
}
