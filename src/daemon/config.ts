import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "smol-toml";
import * as z from "zod";
import { PlyboxError } from "../model/errors.ts";

/** What a daemon, or a one-shot run, is told; absolute paths. */
export interface Config {
  /** What outlives a reboot: layers, registry, disk uppers, the token. */
  readonly stateDir: string;
  /** What does not: sockets, mount points. */
  readonly runDir: string;
  /** The daemon's Unix socket. */
  readonly socket: string;
  /** Where it listens on TCP too. */
  readonly listen: { readonly host: string; readonly port: number } | null;
  /** Holds the bearer token for TCP; made at first start. */
  readonly tokenFile: string;
  readonly logLevel: string;
}

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;

const SCHEMA = z.strictObject({
  stateDir: z.string().min(1).optional(),
  runDir: z.string().min(1).optional(),
  socket: z.string().min(1).optional(),
  listen: z.string().optional(),
  tokenFile: z.string().min(1).optional(),
  logLevel: z.enum(LOG_LEVELS).optional(),
});

/** The environment variable of each setting; it goes before the file. */
const VARIABLES = {
  stateDir: "PLYBOX_STATE_DIR",
  runDir: "PLYBOX_RUN_DIR",
  socket: "PLYBOX_SOCKET",
  listen: "PLYBOX_LISTEN",
  tokenFile: "PLYBOX_TOKEN_FILE",
  logLevel: "PLYBOX_LOG_LEVEL",
} as const satisfies Record<keyof z.infer<typeof SCHEMA>, string>;

/**
 * Parses the settings of an environment and of a TOML text with the same names in camel case.
 * @throws PlyboxError `input/invalid` naming the setting
 */
export function parseConfig(env: NodeJS.ProcessEnv, toml = ""): Config {
  const given = SCHEMA.safeParse({ ...readToml(toml), ...readEnvironment(env) });
  if (!given.success) {
    const [issue] = given.error.issues;
    const field = issue?.path.join(".") ?? "";
    throw new PlyboxError("input/invalid", `configuration: ${field} ${issue?.message}`, { field });
  }
  const stateDir = resolve(given.data.stateDir ?? "/var/lib/plybox");
  const runDir = resolve(given.data.runDir ?? "/run/plybox");
  return Object.freeze({
    stateDir,
    runDir,
    socket: resolve(given.data.socket ?? join(runDir, "plybox.sock")),
    listen: given.data.listen === undefined ? null : parseAddress(given.data.listen),
    tokenFile: resolve(given.data.tokenFile ?? join(stateDir, "token")),
    logLevel: given.data.logLevel ?? "warn",
  });
}

/** The configuration of this environment, and of the file that PLYBOX_CONFIG names. */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const file = env.PLYBOX_CONFIG;
  if (file === undefined) return parseConfig(env);
  try {
    return parseConfig(env, readFileSync(file, "utf8"));
  } catch (cause) {
    if (cause instanceof PlyboxError) throw cause;
    throw new PlyboxError("input/invalid", `cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}

function readToml(toml: string): Record<string, unknown> {
  try {
    return parse(toml);
  } catch (cause) {
    throw new PlyboxError("input/invalid", `configuration: ${(cause as Error).message}`, { cause });
  }
}

function readEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const [setting, variable] of Object.entries(VARIABLES)) {
    const value = env[variable];
    if (value !== undefined && value !== "") settings[setting] = value;
  }
  return settings;
}

function parseAddress(text: string): { host: string; port: number } {
  const [, host = "", port = ""] = /^(?:(.+):)?([0-9]{1,5})$/.exec(text) ?? [];
  if (port === "" || Number(port) > 65535) {
    throw new PlyboxError("input/invalid", `configuration: listen is HOST:PORT, not ${JSON.stringify(text)}`, {
      field: "listen",
    });
  }
  return { host: host.replace(/^\[(.*)\]$/, "$1") || "127.0.0.1", port: Number(port) };
}
