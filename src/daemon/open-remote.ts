import type { LayerStore } from "../layers/layer-store.ts";
import { PlyboxError } from "../model/errors.ts";
import type { MovedLayer, PullOptions, PushOptions, RemoteOptions } from "../model/remote.ts";
import type { Saves } from "../sandbox/saves/saving.ts";
import type { Remote } from "../snapshots/remote/remote.ts";
import type { RemoteSettings } from "./remote-settings.ts";
import type { Realm } from "./rootless/realm.ts";

/** The object storage of this configuration, or the answer that there is none. */
export interface RemoteLayers {
  push(layers: readonly string[], options?: PushOptions): Promise<readonly MovedLayer[]>;
  pull(layers: readonly string[], options?: PullOptions): Promise<readonly MovedLayer[]>;
  sync(options?: RemoteOptions): Promise<readonly MovedLayer[]>;
}

/** Lets a store fetch what it does not have and send what it builds, as configured. */
export function openRemote(settings: RemoteSettings | null, layers: LayerStore): RemoteLayers {
  if (settings === null) return { push: noRemote, pull: noRemote, sync: noRemote };
  // Loaded when it is needed: most runs in the foreground have all that they stand on.
  let loading: Promise<Remote> | undefined;
  const remote = (): Promise<Remote> => {
    loading ??= load(settings, layers);
    return loading;
  };
  layers.useElsewhere({
    fetchMissing: async (layer, isHere) => settings.pulls && (await (await remote()).fetchMissing(layer, isHere)),
    keep: async (layer, replace) => void (settings.pushes && (await (await remote()).push([layer], { replace }))),
  });
  return {
    push: async (...args) => (await remote()).push(...args),
    pull: async (...args) => (await remote()).pull(...args),
    sync: async (...args) => (await remote()).sync(...args),
  };
}

/**
 * What is to hold sandboxes; undefined where nothing is.
 * @throws PlyboxError `host/missing`
 */
export function savesOf(
  settings: RemoteSettings | null,
  remote: RemoteLayers,
  { kind }: Pick<Realm, "kind">,
): Saves | undefined {
  if (settings?.sandboxes !== true) return undefined;
  if (kind !== "machine") throw new PlyboxError("host/missing", "remoteSandboxes needs a daemon that runs as root");
  return {
    push: async (layer) => void (await remote.push([layer], { replace: true })),
    pull: async (layer) => void (await remote.pull([layer], { replace: true })),
  };
}

async function load(settings: RemoteSettings, layers: LayerStore): Promise<Remote> {
  const [{ S3Store }, { Remote }] = await Promise.all([
    import("../snapshots/object-store/s3-store.ts"),
    import("../snapshots/remote/remote.ts"),
  ]);
  return new Remote(new S3Store(settings), settings.prefix, layers.transfer);
}

async function noRemote(): Promise<never> {
  const message = "no object storage is configured: set PLYBOX_REMOTE to s3://BUCKET";
  throw new PlyboxError("input/invalid", message, { field: "remote" });
}
