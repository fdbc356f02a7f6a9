import type { Collection as CollectionView, StorageUsage as UsageView } from "../../client/index.ts";
import type { Collection, StorageUsage } from "../../model/storage.ts";
import { formatSize } from "../values/size.ts";
import { formatAge } from "./age.ts";
import type { Paint } from "./style.ts";
import { renderPairs, renderTable } from "./table.ts";

const SHORT_DIGEST = 12;

interface Named {
  readonly names: readonly string[];
  readonly digest: string | null;
  readonly isStep?: boolean;
}

const nameOf = ({ names, digest, isStep = false }: Named): string =>
  names.length > 0 ? names.join(", ") : `${digest?.slice(0, SHORT_DIGEST) ?? "-"}${isStep ? " (step)" : ""}`;

export function storageText(usage: StorageUsage | UsageView, now: Date, paint: Paint): string {
  const rows = usage.layers.map((layer) => [
    nameOf(layer),
    formatSize(layer.bytes),
    formatAge(new Date(layer.lastUsedAt), now),
    layer.format,
    layer.inUse ? "yes" : "-",
  ]);
  const columns = [
    { title: "LAYER" },
    { title: "SIZE", align: "right" },
    { title: "USED", align: "right" },
    { title: "FORMAT" },
    { title: "IN USE" },
  ] as const;
  const { layerBytes, reclaimableBytes, leftoverBytes, budgetBytes, freeBytes, totalBytes } = usage;
  const pairs: [string, string][] = [
    ["Layers", `${formatSize(layerBytes)}${budgetBytes === null ? "" : ` of ${formatSize(budgetBytes)}`}`],
    ["Reclaimable", formatSize(reclaimableBytes)],
    ["Leftovers", formatSize(leftoverBytes)],
    ["Disk", `${formatSize(freeBytes)} free of ${formatSize(totalBytes)}`],
  ];
  const uppers = "uppers" in usage ? uppersText(usage, paint) : "";
  return `${renderTable(columns, rows, paint)}\n${uppers}${renderPairs(pairs, paint)}`;
}

/** What sandboxes have written, which only a daemon knows. */
function uppersText({ uppers, upperBytes, packedBytes, pools }: UsageView, paint: Paint): string {
  const sizeOf = (bytes: number | null): string => (bytes === null ? "-" : formatSize(bytes));
  const rows = uppers.map(({ sandbox, name, usedBytes, limitBytes, kind, checkpoints }) => [
    ...[name ?? sandbox, sizeOf(usedBytes), sizeOf(limitBytes), kind, String(checkpoints)],
  ]);
  const columns = [
    { title: "SANDBOX" },
    { title: "WRITTEN", align: "right" },
    { title: "LIMIT", align: "right" },
    { title: "UPPER" },
    { title: "CHECKPOINTS", align: "right" },
  ] as const;
  const pairs = pools.map(({ medium, usedBytes, totalBytes }): [string, string] => [
    ...([`Pool, ${medium}`, `${formatSize(usedBytes)} of ${formatSize(totalBytes)}`] as const),
  ]);
  const packed: [string, string] = ["Packed checkpoints", formatSize(packedBytes)];
  const all = renderPairs([["Written", formatSize(upperBytes)], packed, ...pairs], paint);
  return `${rows.length === 0 ? "" : `${renderTable(columns, rows, paint)}\n`}${all}`;
}

export function collectionText(
  { items, freedBytes, layerBytes, isOverBudget }: Collection | CollectionView,
  dryRun: boolean,
  now: Date,
  paint: Paint,
): string {
  const rows = items.map((item) => [
    nameOf(item),
    formatSize(item.bytes),
    item.lastUsedAt === null ? "-" : formatAge(new Date(item.lastUsedAt), now),
    item.reason,
  ]);
  const columns = [
    { title: dryRun ? "WOULD GO" : "GONE" },
    { title: "SIZE", align: "right" },
    { title: "USED", align: "right" },
    { title: "WHY" },
  ] as const;
  const table = rows.length === 0 ? "" : `${renderTable(columns, rows, paint)}\n`;
  const freed = `${dryRun ? "would free" : "freed"} ${formatSize(freedBytes)}; layers take ${formatSize(layerBytes)}`;
  return `${table}${freed}${isOverBudget ? ", which is more than the budget: the rest is stood on" : ""}\n`;
}
