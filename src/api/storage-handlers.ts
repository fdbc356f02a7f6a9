import type { Collection, CollectRequest, StorageUsage, UpperStorage } from "../model/storage.ts";
import { json } from "./answers.ts";
import type { CollectionView, StorageUsageView } from "./contract.ts";
import type { Handlers } from "./route.ts";
import type { StorageRoutes } from "./routes.ts";

/** What the API needs of the store that layers are kept in. */
export interface Storage {
  usage(): Promise<StorageUsage>;
  collect(request: CollectRequest): Promise<Collection>;
}

/** What sandboxes have written. */
export interface Uppers {
  usage(): UpperStorage;
}

export function storageHandlers(storage: Storage, uppers: Uppers): Handlers<StorageRoutes> {
  return {
    async getStorage() {
      return json(200, usageView(await storage.usage(), uppers.usage()));
    },
    async collectStorage({ body }) {
      return json(200, collectionView(await storage.collect(body)));
    },
  };
}

const usageView = (
  { layers, ...usage }: StorageUsage,
  { uppers, upperBytes, packedBytes, pools }: UpperStorage,
): StorageUsageView => ({
  ...usage,
  uppers: [...uppers],
  upperBytes,
  packedBytes,
  pools: [...pools],
  layers: layers.map(({ names, lastUsedAt, ...layer }) => ({
    ...layer,
    names: [...names],
    lastUsedAt: lastUsedAt.toISOString(),
  })),
});

const collectionView = ({ items, ...collection }: Collection): CollectionView => ({
  ...collection,
  items: items.map(({ reason, digest, names, bytes, lastUsedAt }) => ({
    reason,
    digest,
    names: [...names],
    bytes,
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
  })),
});
