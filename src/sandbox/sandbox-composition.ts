import type { Sandbox } from "../model/sandbox.ts";

/** What becomes of the processes of a sandbox when its layers change: `keep` refuses rather than end them. */
export type ProcessesWish = "keep" | "may-end";

/** How the layers of a sandbox were changed. */
export interface Recomposition {
  readonly sandbox: Sandbox;
  /** Names of the layers that it stands on since, or stands on no more; none where it was so already. */
  readonly changed: readonly string[];
  /** What became of its processes; `none` where it had none. */
  readonly processes: "kept" | "ended" | "none";
}

/**
 * Changes what a sandbox that exists stands on. Its id, name, network, limits and what it wrote stay. `ref` is an id or a
 * name. Every method throws PlyboxError: `sandbox/…`, and `layer/needs-restart` where processes are to be kept that would
 * have to be ended; the sandbox is as it was then.
 */
export interface SandboxComposition {
  /**
   * Adds a layer, with what it was made on, each where its number puts it.
   * @throws PlyboxError `layer/…`
   */
  activate(ref: string, layer: string, processes?: ProcessesWish): Promise<Recomposition>;
  /**
   * Takes a layer away; what was written on it stays.
   * @throws PlyboxError `layer/not-found`, `layer/in-use` by another that was made on it, `input/invalid` for the last
   */
  deactivate(ref: string, layer: string, processes?: ProcessesWish): Promise<Recomposition>;
}
