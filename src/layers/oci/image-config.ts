import type { ImageConfig } from "../../model/image-config.ts";
import type { Platform } from "../../model/image-source.ts";
import { badImage } from "./image-error.ts";
import type { Fields } from "./image-json.ts";
import { digestOf, fieldsOf, listOf, textOf } from "./image-json.ts";

const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/;
/** All variables, or all arguments, that a program can be given together. */
const MOST_VECTOR_BYTES = 1024 * 1024;

/** An image's own configuration file. */
export interface ConfigFile {
  readonly platform: Platform;
  /** Digests of the layers' archives, uncompressed, lowest first. */
  readonly diffIds: readonly string[];
  readonly config: ImageConfig;
}

/** @throws PlyboxError `image/invalid` */
export function parseConfigFile(file: Fields): ConfigFile {
  const rootfs = fieldsOf(file.rootfs, "rootfs");
  const config = file.config === undefined || file.config === null ? {} : fieldsOf(file.config, "config");
  return {
    platform: platformOf(file),
    diffIds: listOf(rootfs.diff_ids, "rootfs.diff_ids").map((id) => digestOf(id, "rootfs.diff_ids")),
    config: {
      env: environmentOf(config.Env),
      workingDir: workingDirOf(config.WorkingDir),
      user: userOf(config.User),
      entrypoint: argumentsOf(config.Entrypoint, "Entrypoint"),
      cmd: argumentsOf(config.Cmd, "Cmd"),
      exposedPorts: namesOf(config.ExposedPorts, "ExposedPorts"),
      labels: labelsOf(config.Labels),
    },
  };
}

/** Of a configuration, or of an entry of an index. */
export function platformOf(fields: Fields): Platform {
  const { os, architecture, variant } = fields;
  return {
    os: os === undefined ? "linux" : textOf(os, "os"),
    architecture: architecture === undefined ? "" : textOf(architecture, "architecture"),
    variant: variant === undefined || variant === "" ? null : textOf(variant, "variant"),
  };
}

function environmentOf(value: unknown): Readonly<Record<string, string>> {
  const entries = bounded(
    listOf(value, "Env").map((item) => textOf(item, "Env")),
    "Env",
  ).map((text): [string, string] => {
    const equals = text.indexOf("=");
    // As Docker has it, a name alone is a variable that is not set.
    return equals <= 0 ? ["", ""] : [text.slice(0, equals), text.slice(equals + 1)];
  });
  return Object.fromEntries(entries.filter(([name]) => name !== ""));
}

const argumentsOf = (value: unknown, what: string): readonly string[] =>
  bounded(
    listOf(value, what).map((item) => textOf(item, what)),
    what,
  );

function bounded(texts: readonly string[], what: string): readonly string[] {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
  if (bytes > MOST_VECTOR_BYTES) throw badImage(`its ${what} has ${bytes} bytes`);
  return texts;
}

function workingDirOf(value: unknown): string | null {
  if (value === undefined || value === null || value === "") return null;
  const path = textOf(value, "WorkingDir");
  if (Buffer.byteLength(path) > 4000) throw badImage("its WorkingDir is too long");
  return path.startsWith("/") ? path : `/${path}`;
}

function userOf(value: unknown): string | null {
  if (value === undefined || value === null || value === "") return null;
  const user = textOf(value, "User");
  if (user.length <= 128 && USER.test(user)) return user;
  throw badImage(`its User is ${JSON.stringify(user.slice(0, 200))}`);
}

const namesOf = (value: unknown, what: string): readonly string[] =>
  value === undefined || value === null ? [] : Object.keys(fieldsOf(value, what)).sort();

function labelsOf(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  return Object.fromEntries(
    Object.entries(fieldsOf(value, "Labels")).map(([name, text]) => [name, textOf(text, "Labels")]),
  );
}
