import { join } from "node:path";
import { UndoStack } from "../base/undo-stack.ts";
import type { LayerStore } from "../layers/layer-store.ts";
import { RANGE_SIZE } from "../sandbox/id-ranges.ts";
import { memoryRegistry } from "../sandbox/memory-registry.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import type { Config } from "./config.ts";
import { ownPaths } from "./config.ts";
import { idsOf, ONE_SHOT_IDS } from "./id-space.ts";
import { isStoodOnByKept, REGISTRY_FILE } from "./kept-sandboxes.ts";
import type { RemoteLayers } from "./open-remote.ts";
import { readRealm } from "./rootless/realm.ts";
import type { Runtime } from "./runtime.ts";
import { openRuntime } from "./runtime.ts";
import { claimSlot } from "./slots.ts";

export interface OneShot {
  readonly sandboxes: Sandboxes;
  readonly layers: LayerStore;
  readonly remote: RemoteLayers;
  /** Removes every sandbox that was made, and whatever this process put on the host. */
  close(): Promise<void>;
}

/** Says what goes wrong where nobody reads a log. */
const LOG = { debug() {}, warn() {} };

/**
 * Sandboxes without a daemon: they end with this process, even if it is killed.
 * @throws PlyboxError `host/missing`, `sandbox/too-many` when 1,024 such processes run
 */
export async function openOneShot(config: Config): Promise<OneShot> {
  const { sandboxes, layers, remote, close } = await openEphemeral(config);
  return { sandboxes, layers, remote, close };
}

/**
 * What runs sandboxes that end with this process, one at a time.
 * @param disks where their uppers on disk are
 * @throws as `openOneShot`
 */
export async function openEphemeral(config: Config, disks?: string): Promise<Runtime> {
  await using undo = new UndoStack();
  const { slot, runDir, cgroupParent } = await claimSlot(config.runDir, undo);
  const realm = readRealm();
  const runtime = await openRuntime({
    own: ownPaths(config),
    layerSettings: config,
    isStoodOn: (digest) => isStoodOnByKept(join(config.stateDir, REGISTRY_FILE), digest),
    ...{ stateDir: config.stateDir, runDir, cgroupParent, registry: memoryRegistry(), log: LOG, ephemeral: true },
    ...(disks !== undefined && { disks }),
    realm,
    ids: idsOf(realm, { first: ONE_SHOT_IDS.first + slot * RANGE_SIZE, count: 1 }),
  });
  undo.push("close the runtime", () => runtime.close());
  undo.push("remove the sandboxes", () => runtime.sandboxes.removeAll());
  const held = undo.move();
  return { ...runtime, close: () => held[Symbol.asyncDispose]() };
}
