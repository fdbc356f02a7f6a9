import type { Digest } from "./ids.ts";
import type { LayerMount } from "./launch-plan.ts";

/** A layer that is being added to a sandbox that runs. */
export interface Grafting {
  readonly layer: Digest;
  /** Directories of it, absolute, that nothing is at in the sandbox: there it is mounted. */
  readonly points: readonly string[];
}

/** What the launcher needs for it; docs/protocol.md §5. */
export interface Graft {
  readonly layer: LayerMount;
  /** Where the sandbox's upper is on the host. */
  readonly upper: string;
  /** A name of the layer's own, for what overlayfs keeps beside the upper. */
  readonly work: string;
  readonly ids: { readonly base: number; readonly count: number };
  /** Whether set-user-id bits count. */
  readonly setuid: boolean;
  readonly points: readonly string[];
}
