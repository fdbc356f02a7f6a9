import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { Plybox } from "../client/index.ts";
import { defaultDirectories } from "../model/default-directories.ts";
import { PlyboxError } from "../model/errors.ts";
import type { CliContext } from "./context.ts";

/** How a daemon is found. */
export interface ConnectOptions {
  readonly socket?: string;
  readonly url?: string;
  readonly tokenFile?: string;
}

export function connectOptions(command: Command): Command {
  return command
    .option("--socket <path>", "the daemon's Unix socket (default: $PLYBOX_SOCKET or plybox.sock in the run directory)")
    .option("--url <url>", "the daemon's address on TCP, such as http://127.0.0.1:7070 (default: $PLYBOX_URL)")
    .option("--token-file <path>", "file with the bearer token for --url (default: the token in $PLYBOX_TOKEN)");
}

type Address = { readonly baseUrl: string } | { readonly socketPath: string };

/** Where the daemon is: what the options say, then the environment, then the daemon's own configuration. */
async function addressOf(options: ConnectOptions, env: NodeJS.ProcessEnv): Promise<Address> {
  if (options.socket !== undefined && options.url !== undefined) {
    throw new PlyboxError("input/invalid", "give --socket or --url, not both");
  }
  if (options.socket !== undefined) return { socketPath: options.socket };
  const baseUrl = options.url ?? (env.PLYBOX_SOCKET ? undefined : env.PLYBOX_URL || undefined);
  if (baseUrl !== undefined) return { baseUrl: parseUrl(baseUrl) };
  // Reading the configuration takes longer than asking the daemon.
  const socketPath = env.PLYBOX_SOCKET || (env.PLYBOX_CONFIG ? await configuredSocket(env) : defaultSocket(env));
  return { socketPath };
}

function defaultSocket(env: NodeJS.ProcessEnv): string {
  const runDir = env.PLYBOX_RUN_DIR || defaultDirectories(env, process.getuid?.() ?? 0).runDir;
  return `${runDir}/plybox.sock`;
}

async function configuredSocket(env: NodeJS.ProcessEnv): Promise<string> {
  const { loadConfig } = await import("../daemon/config.ts");
  return loadConfig(env).socket;
}

/** A client of the daemon; nothing is sent yet. */
export async function connect(options: ConnectOptions, { env }: CliContext): Promise<Plybox> {
  const { Plybox } = await import("../client/index.ts");
  const token = options.tokenFile === undefined ? env.PLYBOX_TOKEN || undefined : readToken(options.tokenFile);
  return new Plybox({ ...(await addressOf(options, env)), ...(token !== undefined && { token }) });
}

/** A token is never an argument: every user of the machine sees those. */
function readToken(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    throw new PlyboxError("input/invalid", `${path} cannot be read`, { field: "--token-file", cause });
  }
}

function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return text.replace(/\/+$/, "");
  throw new PlyboxError(
    "input/invalid",
    `not an address: ${JSON.stringify(text.slice(0, 80))}; it begins with http://`,
  );
}
