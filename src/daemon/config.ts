import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "smol-toml";
import type { Packings } from "../layers/compression.ts";
import type { ImageBounds } from "../layers/image-bounds.ts";
import { IMAGE_BOUNDS } from "../layers/image-bounds.ts";
import type { Medium } from "../model/checkpoint.ts";
import { defaultDirectories } from "../model/default-directories.ts";
import { PlyboxError } from "../model/errors.ts";
import type { PressureThresholds } from "../sandbox/usage/pressure.ts";
import type { PackingSettings } from "./packing-settings.ts";
import { parsePackings } from "./packing-settings.ts";
import type { RemoteSettings } from "./remote-settings.ts";
import { parseRemote } from "./remote-settings.ts";

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
  /** `PORT-REF.DOMAIN` is served as that port of that sandbox. */
  readonly portDomain: string | null;
  readonly logLevel: string;
  /** Where spans are sent by OTLP over HTTP, such as `http://127.0.0.1:4318`. */
  readonly otlpEndpoint: string | null;
  /** Whether `/metrics` has series of each sandbox. */
  readonly sandboxMetrics: boolean;
  /** What a layer's image may hold: inodes, and bytes where it has to be unpacked. */
  readonly layerBounds: ImageBounds;
  /** Bytes that layers may take before the least recently used go; null for no bound. */
  readonly layerBudget: number | null;
  /** Files of public keys whose signatures count for layers that come from elsewhere. */
  readonly trustedKeys: readonly string[];
  /** Whether a layer from elsewhere that none of them signed is refused. */
  readonly requireSignatures: boolean;
  /** Where layers are kept besides; null for nowhere. */
  readonly remote: RemoteSettings | null;
  /** What the pools of snapshots may hold; null: half of the memory, or all of the state directory's file system. */
  readonly poolBytes: Readonly<Record<Medium, number | null>>;
  /** So many of each sandbox's newest checkpoints are not packed by themselves; null: none is. */
  readonly keepUnpacked: number | null;
  /** From which percentage on an upper, a pool or the state directory's disk is told to be so full. */
  readonly pressure: PressureThresholds;
  /** How layers are packed. */
  readonly layerPackings: Packings;
  /** How snapshots are packed. */
  readonly snapshotPackings: Packings;
  /** What programs are told that speak to the network for a build. */
  readonly networkEnvironment: Readonly<Record<string, string>>;
}

/** What only the daemon and its users may reach. */
export const ownPaths = ({ stateDir, runDir, socket, tokenFile }: Config): readonly string[] => [
  ...[stateDir, runDir, socket, tokenFile],
];

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;

/** The environment variable of each setting; it goes before the file. */
const VARIABLES = {
  stateDir: "PLYBOX_STATE_DIR",
  runDir: "PLYBOX_RUN_DIR",
  socket: "PLYBOX_SOCKET",
  listen: "PLYBOX_LISTEN",
  tokenFile: "PLYBOX_TOKEN_FILE",
  portDomain: "PLYBOX_PORT_DOMAIN",
  logLevel: "PLYBOX_LOG_LEVEL",
  otlpEndpoint: "OTEL_EXPORTER_OTLP_ENDPOINT",
  sandboxMetrics: "PLYBOX_SANDBOX_METRICS",
  layerInodes: "PLYBOX_LAYER_INODES",
  layerBytes: "PLYBOX_LAYER_BYTES",
  layerBudget: "PLYBOX_LAYER_BUDGET",
  trustedKeys: "PLYBOX_TRUSTED_KEYS",
  requireSignatures: "PLYBOX_REQUIRE_SIGNATURES",
  remote: "PLYBOX_REMOTE",
  remoteEndpoint: "PLYBOX_REMOTE_ENDPOINT",
  remoteRegion: "PLYBOX_REMOTE_REGION",
  remotePush: "PLYBOX_REMOTE_PUSH",
  remotePull: "PLYBOX_REMOTE_PULL",
  remoteSandboxes: "PLYBOX_REMOTE_SANDBOXES",
  snapshotMemory: "PLYBOX_SNAPSHOT_MEMORY",
  snapshotDisk: "PLYBOX_SNAPSHOT_DISK",
  keepUnpacked: "PLYBOX_KEEP_UNPACKED",
  pressureHigh: "PLYBOX_PRESSURE_HIGH",
  pressureCritical: "PLYBOX_PRESSURE_CRITICAL",
  layerFormat: "PLYBOX_LAYER_FORMAT",
  squashComp: "SQUASH_COMP",
  squashCompLevel: "SQUASH_COMP_LEVEL",
  squashBlockSize: "SQUASH_BLOCK_SIZE",
  erofsComp: "EROFS_COMP",
  erofsCompLevel: "EROFS_COMP_LEVEL",
  erofsBlockSize: "EROFS_BLOCK_SIZE",
} as const satisfies Record<
  | Exclude<keyof Config, Derived>
  | keyof PackingSettings
  | RemoteParts
  | "layerInodes"
  | "layerBytes"
  | "snapshotMemory"
  | "snapshotDisk"
  | "pressureHigh"
  | "pressureCritical",
  string
>;

/** What several settings make together. */
type Derived = "pressure" | "layerBounds" | "poolBytes" | "layerPackings" | "snapshotPackings" | "networkEnvironment";

/** Proxies, certificates, and where registries' credentials are kept, by the names that all programs have for them. */
const NETWORK_VARIABLES = [
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"],
  ...["SSL_CERT_FILE", "SSL_CERT_DIR", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "HOME"],
];

type RemoteParts = "remoteEndpoint" | "remoteRegion" | "remotePush" | "remotePull" | "remoteSandboxes";

type Settings = Readonly<Partial<Record<keyof typeof VARIABLES, string>>>;

/**
 * Parses the settings of an environment and of a TOML text with the same names in camel case.
 * @param uid whose directories are meant where none are given
 * @throws PlyboxError `input/invalid` naming the setting
 */
export function parseConfig(env: NodeJS.ProcessEnv, toml = "", uid = 0): Config {
  const given = { ...readToml(toml), ...readEnvironment(env) };
  const defaults = defaultDirectories(env, uid);
  const stateDir = resolve(given.stateDir ?? defaults.stateDir);
  const runDir = resolve(given.runDir ?? defaults.runDir);
  return Object.freeze({
    stateDir,
    runDir,
    socket: resolve(given.socket ?? join(runDir, "plybox.sock")),
    listen: given.listen === undefined ? null : parseAddress(given.listen),
    tokenFile: resolve(given.tokenFile ?? join(stateDir, "token")),
    portDomain: given.portDomain === undefined ? null : parseDomain(given.portDomain),
    logLevel: parseLogLevel(given.logLevel ?? "warn"),
    otlpEndpoint: given.otlpEndpoint === undefined ? null : parseEndpoint(given.otlpEndpoint),
    sandboxMetrics: parseFlag("sandboxMetrics", given.sandboxMetrics ?? "false"),
    layerBounds: Object.freeze({
      inodes: parseCount("layerInodes", given.layerInodes) ?? IMAGE_BOUNDS.inodes,
      unpackedBytes: parseCount("layerBytes", given.layerBytes) ?? IMAGE_BOUNDS.unpackedBytes,
    }),
    layerBudget: parseBytes("layerBudget", given.layerBudget),
    ...parseTrust(given),
    remote: requireSavable(given, parseRemote(env, given)),
    poolBytes: Object.freeze({
      memory: parseBytes("snapshotMemory", given.snapshotMemory),
      disk: parseBytes("snapshotDisk", given.snapshotDisk),
    }),
    keepUnpacked: given.keepUnpacked === "all" ? null : (parseCount("keepUnpacked", given.keepUnpacked) ?? 64),
    pressure: parsePressure(given),
    layerPackings: parsePackings(given, "layer"),
    snapshotPackings: parsePackings(given, "snapshot"),
    networkEnvironment: Object.freeze(
      Object.fromEntries(NETWORK_VARIABLES.flatMap((name) => (env[name] ? [[name, env[name]]] : []))),
    ),
  });
}

/** The configuration of this environment, and of the file that PLYBOX_CONFIG names. */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const file = env.PLYBOX_CONFIG;
  const uid = process.getuid?.() ?? 0;
  if (file === undefined) return parseConfig(env, "", uid);
  try {
    return parseConfig(env, readFileSync(file, "utf8"), uid);
  } catch (cause) {
    if (cause instanceof PlyboxError) throw cause;
    throw new PlyboxError("input/invalid", `cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}

/** Checked by hand: a schema library would take longer to load than most one-shot runs take. */
function readToml(toml: string): Settings {
  const settings: Record<string, string> = {};
  for (const [setting, value] of Object.entries(parseToml(toml))) {
    if (!Object.hasOwn(VARIABLES, setting)) throw invalid(setting, "is not known");
    if (typeof value !== "string" || value === "") throw invalid(setting, "must be a text that is not empty");
    settings[setting] = value;
  }
  return settings;
}

function parseToml(toml: string): object {
  try {
    return parse(toml);
  } catch (cause) {
    throw new PlyboxError("input/invalid", `configuration: ${(cause as Error).message}`, { cause });
  }
}

function readEnvironment(env: NodeJS.ProcessEnv): Settings {
  const settings: Record<string, string> = {};
  for (const [setting, variable] of Object.entries(VARIABLES)) {
    const value = env[variable];
    if (value !== undefined && value !== "") settings[setting] = value;
  }
  return settings;
}

function parseLogLevel(level: string): string {
  if ((LOG_LEVELS as readonly string[]).includes(level)) return level;
  throw invalid("logLevel", `must be one of ${LOG_LEVELS.join(", ")}`);
}

function parseDomain(text: string): string {
  const domain = text.toLowerCase();
  if (/^(?=.{1,190}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/.test(domain))
    return domain;
  throw invalid("portDomain", `is a domain such as box.example.com, not ${JSON.stringify(text)}`);
}

function parseEndpoint(text: string): string {
  const { protocol } = URL.canParse(text) ? new URL(text) : { protocol: "" };
  if (protocol === "http:" || protocol === "https:") return text;
  throw invalid("otlpEndpoint", `is an address such as http://127.0.0.1:4318, not ${JSON.stringify(text)}`);
}

function parseFlag(setting: keyof Settings, text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw invalid(setting, `is true or false, not ${JSON.stringify(text)}`);
}

/** What requires signatures of nobody is a mistake that would show as refusals one day, or as none. */
function parseTrust(given: Settings): Pick<Config, "trustedKeys" | "requireSignatures"> {
  const requireSignatures = parseFlag("requireSignatures", given.requireSignatures ?? "false");
  const trustedKeys = given.trustedKeys === undefined ? [] : given.trustedKeys.split(":");
  if (trustedKeys.some((path) => path === ""))
    throw invalid("trustedKeys", "has an empty path; paths are separated by :");
  if (requireSignatures && trustedKeys.length === 0) throw invalid("requireSignatures", "needs trustedKeys");
  return { trustedKeys: Object.freeze(trustedKeys.map((path) => resolve(path))), requireSignatures };
}

function requireSavable({ requireSignatures }: Settings, remote: RemoteSettings | null): RemoteSettings | null {
  if (remote?.sandboxes !== true || requireSignatures !== "true") return remote;
  throw invalid("remoteSandboxes", "cannot be had with requireSignatures: nobody signs what sandboxes write");
}

function parseCount(setting: keyof Settings, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (/^[0-9]+$/.test(text) && count > 0 && Number.isSafeInteger(count)) return count;
  throw invalid(setting, `is a number of 1 or more, not ${JSON.stringify(text)}`);
}

function parsePressure({ pressureHigh = "80", pressureCritical = "95" }: Settings): PressureThresholds {
  const percent = (setting: keyof Settings, text: string): number => {
    if (/^[0-9]{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 100) return Number(text);
    throw invalid(setting, `is a percentage from 1 to 100, not ${JSON.stringify(text)}`);
  };
  const high = percent("pressureHigh", pressureHigh);
  const critical = percent("pressureCritical", pressureCritical);
  if (critical >= high) return Object.freeze({ high, critical });
  throw invalid("pressureCritical", "is less than pressureHigh");
}

/** Bytes, or with K, M, G or T as powers of 1,024. */
function parseBytes(setting: keyof Settings, text: string | undefined): number | null {
  if (text === undefined) return null;
  const [, digits, unit = ""] = /^([0-9]{1,15})([KMGT]?)$/.exec(text.toUpperCase()) ?? [];
  const bytes = Number(digits) * 1024 ** ["", "K", "M", "G", "T"].indexOf(unit);
  if (digits !== undefined && Number.isSafeInteger(bytes)) return bytes;
  throw invalid(setting, `is bytes, or a number with K, M, G or T, not ${JSON.stringify(text)}`);
}

function parseAddress(text: string): Config["listen"] {
  const [, brackets, name, port = ""] = /^(?:(?:\[([^\]]+)\]|([^[\]]+)):)?([0-9]{1,5})$/.exec(text) ?? [];
  if (port === "" || Number(port) > 65535) {
    throw invalid("listen", `is HOST:PORT, not ${JSON.stringify(text)}`);
  }
  return Object.freeze({ host: brackets ?? name ?? "127.0.0.1", port: Number(port) });
}

const invalid = (field: string, message: string): PlyboxError =>
  new PlyboxError("input/invalid", `configuration: ${field} ${message}`, { field });
