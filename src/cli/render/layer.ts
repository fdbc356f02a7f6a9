import type { LayerView } from "../../client/index.ts";
import type { LayerManifest } from "../../model/layer.ts";
import { formatSize } from "../values/size.ts";
import { formatAge } from "./age.ts";
import type { Paint } from "./style.ts";
import { renderPairs, renderTable } from "./table.ts";

/** A layer as the API shows it, or as the store has it. */
export type LayerDescription = LayerView | LayerManifest;

const SHORT_DIGEST = 12;

export function layerTable(layers: readonly LayerDescription[], now: Date, paint: Paint): string {
  const rows = layers.map(({ name, digest, format, bytes, createdAt, provenance }) => [
    name,
    formatSize(bytes),
    formatAge(new Date(createdAt), now),
    format,
    digest.slice(0, SHORT_DIGEST),
    `${provenance.kind} ${provenance.source}`,
  ]);
  const columns = [
    { title: "NAME" },
    { title: "SIZE", align: "right" },
    { title: "AGE", align: "right" },
    { title: "FORMAT" },
    { title: "DIGEST" },
    { title: "FROM" },
  ] as const;
  return renderTable(columns, rows, paint);
}

export function describeLayer(layer: LayerDescription, now: Date, paint: Paint): string {
  const { compression, binds, parents, config } = layer;
  const pairs: [name: string, value: string][] = [
    ["Name", layer.name],
    ["Digest", `sha256:${layer.digest}`],
    ["Format", layer.format],
    ["Size", `${formatSize(layer.bytes)} (${layer.bytes} bytes)`],
    ["Compression", compression === null ? "-" : describeCompression(compression)],
    ["Created", `${layer.createdAt} (${formatAge(new Date(layer.createdAt), now)} ago)`],
    ["From", `${layer.provenance.kind} ${layer.provenance.source}`],
    ...(config === undefined ? [] : describeConfig(config)),
    ["Parents", parents.length === 0 ? "-" : parents.map((digest) => digest.slice(0, SHORT_DIGEST)).join(" ")],
    ...binds.map(({ source, target }): [string, string] => [
      "Shows",
      source === target ? source : `${source} at ${target}`,
    ]),
  ];
  return renderPairs(pairs, paint);
}

function describeConfig(config: NonNullable<LayerDescription["config"]>): [string, string][] {
  const command = [...config.entrypoint, ...config.cmd].map((word) => JSON.stringify(word)).join(" ");
  return [
    // Values may be secrets; --json shows them.
    ["Environment", Object.keys(config.env).join(" ") || "-"],
    ["Directory", config.workingDir ?? "-"],
    ["User", config.user ?? "-"],
    ["Command", command || "-"],
    ["Ports", config.exposedPorts.join(" ") || "-"],
  ];
}

function describeCompression({ algorithm, level, blockBytes }: NonNullable<LayerDescription["compression"]>): string {
  return `${algorithm}${level === null ? "" : ` ${level}`}, blocks of ${formatSize(blockBytes)}`;
}
