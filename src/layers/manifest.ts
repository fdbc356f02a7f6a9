import type { Digest, LayerName } from "../model/ids.ts";
import { parseDigest, parseLayerName } from "../model/ids.ts";
import type { ImageConfig } from "../model/image-config.ts";
import type { Bind } from "../model/launch-plan.ts";
import type { LayerFormat, LayerManifest, Provenance, ProvenanceInput } from "../model/layer.ts";
import type { Compression } from "./compression.ts";

const FORMATS: readonly LayerFormat[] = ["squashfs", "erofs", "dir"];
const INPUT_KINDS: readonly ProvenanceInput["kind"][] = ["layer", "archive", "image", "image-layer", "file"];

type Fields = Readonly<Record<string, unknown>>;

class MalformedManifest extends Error {
  constructor(field: string) {
    super(`its manifest is malformed at ${field}`);
  }
}

export const formatManifest = (manifest: LayerManifest): string => `${JSON.stringify(manifest, null, 2)}\n`;

/**
 * Parses a stored manifest strictly; an unknown field is an error. Written by hand because it runs in every one-shot
 * `plybox run`, where loading a schema library costs more than all the rest of this folder.
 * @throws Error saying what is wrong
 */
export function parseManifest(text: string): LayerManifest {
  const fields = record(JSON.parse(text), "the top", [
    ...["name", "digest", "format", "bytes", "compression", "createdAt", "parents", "provenance", "binds"],
    "config",
  ]);
  return {
    name: parseLayerName(string(fields.name, "name")) as LayerName,
    digest: parseDigest(string(fields.digest, "digest")),
    format: oneOf(FORMATS, fields.format, "format"),
    bytes: count(fields.bytes, "bytes"),
    compression: fields.compression === null ? null : compression(fields.compression),
    createdAt: string(fields.createdAt, "createdAt"),
    parents: array(fields.parents, "parents").map((item): Digest => parseDigest(string(item, "parents"))),
    provenance: provenance(fields.provenance),
    binds: array(fields.binds, "binds").map(bind),
    ...(fields.config !== undefined && { config: imageConfig(fields.config) }),
  };
}

function provenance(value: unknown): Provenance {
  const fields = record(value, "provenance", ["kind", "source", "commands", "inputs", "hosts"]);
  const { commands, inputs, hosts } = fields;
  return {
    kind: string(fields.kind, "provenance.kind"),
    source: string(fields.source, "provenance.source"),
    ...(commands !== undefined && {
      commands: array(commands, "provenance.commands").map((item) => strings(item, "provenance.commands")),
    }),
    ...(inputs !== undefined && { inputs: array(inputs, "provenance.inputs").map(input) }),
    ...(hosts !== undefined && { hosts: strings(hosts, "provenance.hosts") }),
  };
}

function input(value: unknown): ProvenanceInput {
  const fields = record(value, "provenance.inputs", ["kind", "name", "digest"]);
  return {
    kind: oneOf(INPUT_KINDS, fields.kind, "provenance.inputs.kind"),
    name: string(fields.name, "provenance.inputs.name"),
    digest: string(fields.digest, "provenance.inputs.digest"),
  };
}

function imageConfig(value: unknown): ImageConfig {
  const fields = record(value, "config", [
    ...["env", "workingDir", "user", "entrypoint", "cmd", "exposedPorts", "labels"],
  ]);
  return {
    env: texts(fields.env, "config.env"),
    workingDir: fields.workingDir === null ? null : string(fields.workingDir, "config.workingDir"),
    user: fields.user === null ? null : string(fields.user, "config.user"),
    entrypoint: strings(fields.entrypoint, "config.entrypoint"),
    cmd: strings(fields.cmd, "config.cmd"),
    exposedPorts: strings(fields.exposedPorts, "config.exposedPorts"),
    labels: texts(fields.labels, "config.labels"),
  };
}

function compression(value: unknown): Compression {
  const fields = record(value, "compression", ["algorithm", "level", "blockBytes"]);
  return {
    algorithm: string(fields.algorithm, "compression.algorithm"),
    level: fields.level === null ? null : count(fields.level, "compression.level"),
    blockBytes: count(fields.blockBytes, "compression.blockBytes"),
  };
}

function bind(value: unknown): Bind {
  const fields = record(value, "binds", ["source", "target", "readOnly", "owner"]);
  if (typeof fields.readOnly !== "boolean") throw new MalformedManifest("binds.readOnly");
  return {
    source: string(fields.source, "binds.source"),
    target: string(fields.target, "binds.target"),
    readOnly: fields.readOnly,
    owner: oneOf(["keep", "root"] as const, fields.owner, "binds.owner"),
  };
}

function record(value: unknown, field: string, names: readonly string[]): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new MalformedManifest(field);
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new MalformedManifest(`${field}: unknown field ${JSON.stringify(unknown)}`);
  return value as Fields;
}

function array(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new MalformedManifest(field);
  return value;
}

const strings = (value: unknown, field: string): readonly string[] =>
  array(value, field).map((item) => string(item, field));

function texts(value: unknown, field: string): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new MalformedManifest(field);
  return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, string(text, field)]));
}

function string(value: unknown, field: string): string {
  if (typeof value !== "string") throw new MalformedManifest(field);
  return value;
}

function count(value: unknown, field: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new MalformedManifest(field);
  return value as number;
}

function oneOf<T extends string>(values: readonly T[], value: unknown, field: string): T {
  const found = values.find((known) => known === value);
  if (found === undefined) throw new MalformedManifest(field);
  return found;
}
