import { once } from "node:events";
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import type { Logger } from "pino";
import pino from "pino";
import type { Accounts } from "../access/accounts.ts";
import { openAccounts } from "../access/accounts.ts";
import { UrlSigner } from "../access/signed-urls.ts";
import type { Access } from "../api/access.ts";
import { bearerAccess, openAccess } from "../api/access.ts";
import { createApiServer } from "../api/api-server.ts";
import type { ApiOptions } from "../api/create-api.ts";
import { createApi } from "../api/create-api.ts";
import { createPortProxy } from "../api/create-port-proxy.ts";
import { createUpgrades } from "../api/create-upgrades.ts";
import { RightOfWay } from "../api/right-of-way.ts";
import { sharedAbort } from "../base/abort.ts";
import { UndoStack } from "../base/undo-stack.ts";
import { PlyboxError } from "../model/errors.ts";
import { harmlessJson } from "../model/printable.ts";
import type { FaultAt } from "../native/launcher.ts";
import { relay } from "../native/relay.ts";
import { CheckpointTable } from "../sandbox/checkpoints/checkpoint-table.ts";
import { openDatabase } from "../sandbox/database.ts";
import { Commands } from "../sandbox/execs/commands.ts";
import { ExecHistory } from "../sandbox/execs/exec-history.ts";
import { openRegistry } from "../sandbox/registry.ts";
import type { DeliveryOptions } from "../sandbox/webhooks/delivery.ts";
import type { Config } from "./config.ts";
import { ownPaths } from "./config.ts";
import { buildLayerOfDockerfile, sweepBuilds } from "./dockerfile-builds.ts";
import { DAEMON_IDS, idsOf } from "./id-space.ts";
import { REGISTRY_FILE } from "./kept-sandboxes.ts";
import { openObservation } from "./observation.ts";
import { readRealm } from "./rootless/realm.ts";
import { claimRunDirectory } from "./run-directory.ts";
import type { Runtime } from "./runtime.ts";
import { cgroupParentOf, openRuntime } from "./runtime.ts";
import { sweepSlots } from "./slots.ts";
import { readOrMakeToken } from "./token.ts";
import { VERSION } from "./version.ts";

export interface Daemon {
  /** Where it listens, such as `unix:/run/plybox/plybox.sock`. */
  readonly urls: readonly string[];
  /** Answers what has been asked, and goes; sandboxes stay. Idempotent. */
  stop(): Promise<void>;
}

export interface DaemonOptions {
  /** Tests only: the step that is to fail, of a launch, of a command's start, of a pause or of a removal. */
  readonly failAt?: FaultAt;
  /** Tests only: the program that takes the agent's place, and how long it may take to answer. */
  readonly agentProgram?: string;
  readonly agentPatienceMs?: number;
  /** Tests only: how soon an end that failed is tried again. */
  readonly retryMs?: number;
  /** Tests only: how often it is looked how full storage is. */
  readonly pressureEveryMs?: number;
  /** Tests only: how often it is looked for checkpoints that are to be packed. */
  readonly packEveryMs?: number;
  /** Tests only: how soon a failed delivery is tried again, and when it is given up. */
  readonly webhooks?: Partial<DeliveryOptions>;
}

/** How long an event stream or an upgraded connection may go on when the daemon stops. */
const GRACE_MS = 2000;
const SWEEP_MS = 20;

/**
 * Opens what an earlier daemon left, and serves.
 * @throws PlyboxError `daemon/unreachable` when another daemon uses the same directories, `host/missing`
 */
export async function startDaemon(config: Config, options: DaemonOptions = {}): Promise<Daemon> {
  const { stateDir, runDir, listen } = config;
  const log = openLog(config.logLevel);
  await using undo = new UndoStack();
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const database = openDatabase(join(stateDir, REGISTRY_FILE));
  undo.push("close the database", () => void database.close());
  const run = claimRunDirectory(config);
  undo.push("let go of the run directory", () => void run.close());
  const registry = openRegistry(database);
  const checkpoints = new CheckpointTable(database);
  const accounts = openAccounts(database);
  undo.push("write the rest of the audit log", () => accounts.audit.flush());
  const realm = readRealm();
  const runtime = await openRuntime({
    own: ownPaths(config),
    layerSettings: config,
    // Every sandbox of the registry has a lease once it is recovered; until then this is all that is known of it.
    isStoodOn: async (digest) => keptIn(registry, checkpoints).has(digest),
    ...{ checkpoints, poolBytes: config.poolBytes, packing: packingOf(config) },
    ...{ stateDir, runDir, registry, log, cgroupParent: cgroupParentOf(runDir), ephemeral: false },
    realm,
    ids: idsOf(realm, DAEMON_IDS),
    admit: (wanted, living) => accounts.tenants.admit(wanted, living),
    ...options,
  });
  undo.push("close the runtime", () => runtime.close());
  const observation = await openObservation(
    { config, database, runtime, log, delivery: options.webhooks, pressureEveryMs: options.pressureEveryMs },
    undo,
  );
  runtime.sandboxes.events.listen((event) => {
    if (event.type === "sandbox.state" && event.state.kind === "destroyed") accounts.portTokens.forget(event.sandbox);
  });
  const commands = new Commands({
    ...{ sandboxes: runtime.sandboxes, agents: runtime.sandboxes, history: new ExecHistory(database), log },
  });
  undo.push("write what is known of commands", () => commands.close());
  await takeOver(config, runtime, commands, accounts);

  const closing = sharedAbort();
  const parts: ApiOptions = {
    ...observation,
    accounts,
    ...servedParts(runtime),
    builds: { build: (name, request) => buildLayerOfDockerfile(config, name, request) },
    commands,
    portAccess: {
      signer: new UrlSigner(await readOrMakeToken(join(stateDir, "url-key"))),
      domain: config.portDomain,
    },
    closing: closing.signal,
    version: VERSION,
    ready: () => [],
    log,
  };
  const api = createApi(parts);
  const upgrades = createUpgrades(parts);
  const portProxy = createPortProxy(parts, upgrades);
  const serverOf = (access: Access): Server => createApiServer({ api, upgrades, portProxy }, access);
  const token = listen === null ? undefined : await readOrMakeToken(config.tokenFile);
  const urls = [await serveUnix(serverOf(openAccess(accounts.keys, token)), config.socket, undo)];
  if (listen !== null && token !== undefined) {
    urls.push(await serveTcp(serverOf(bearerAccess(token, accounts.keys)), listen, undo));
  }
  undo.push("end streams of events", () => closing.abort());
  undo.push("end upgraded connections", () => upgrades.close(GRACE_MS));
  log.info({ urls, sandboxes: runtime.sandboxes.list().length }, "plybox serves");
  const held = undo.move();
  return { urls, stop: () => held[Symbol.asyncDispose]() };
}

function servedParts({ sandboxes, layers, remote }: Runtime) {
  const { lifecycle, checkpoints, composition } = sandboxes;
  return {
    ...{ relay, rightOfWay: new RightOfWay(), sandboxes, lifecycle, checkpoints, composition, agents: sandboxes },
    ...{ layers, transfer: layers.transfer, remote },
  };
}

const packingOf = ({ keepUnpacked, pressure }: Config) =>
  keepUnpacked === null ? null : { keepUnpacked, fullPercent: pressure.high };

/** The digests that sandboxes and checkpoints stand on. */
function keptIn(...stores: readonly { all(): readonly { readonly digests: readonly string[] }[] }[]): Set<string> {
  return new Set(stores.flatMap((store) => store.all().flatMap(({ digests }) => digests)));
}

/** Makes what an earlier daemon left this one's own, and takes away what is nobody's. */
async function takeOver(
  config: Config,
  { sandboxes, layers }: Runtime,
  commands: Commands,
  { portTokens }: Accounts,
): Promise<void> {
  await sandboxes.recover();
  await commands.recover();
  sandboxes.events.listen((event) => commands.happened(event));
  const living = new Set<string>(sandboxes.list().map(({ id }) => id));
  portTokens.keepOnly((sandbox) => living.has(sandbox));
  await layers.sweep();
  await sweepSlots(config.runDir);
  sweepBuilds(config);
}

/** Lines of JSON on stderr; whoever reads them may do so on a terminal. */
function openLog(level: string): Logger {
  const stderr = pino.destination({ dest: 2, sync: false });
  return pino({ level }, { write: (line) => void stderr.write(harmlessJson(line)) });
}

async function serveUnix(server: Server, path: string, undo: UndoStack): Promise<string> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (await answers(path)) throw new PlyboxError("daemon/unreachable", `another daemon listens on ${path}`);
  rmSync(path, { force: true });
  // The file is made with this mask: between its making and a chmod nobody else may connect.
  const mask = process.umask(0o177);
  try {
    await listening(server, () => server.listen(path));
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
  undo.push("close the Unix socket", () => closeServer(server));
  return `unix:${path}`;
}

async function serveTcp(
  server: Server,
  { host, port }: { host: string; port: number },
  undo: UndoStack,
): Promise<string> {
  await listening(server, () => server.listen(port, host));
  undo.push("close the TCP socket", () => closeServer(server));
  const address = server.address();
  const actual = typeof address === "object" && address !== null ? address.port : port;
  return `http://${host.includes(":") ? `[${host}]` : host}:${actual}`;
}

async function listening(server: Server, listen: () => void): Promise<void> {
  const ready = once(server, "listening");
  listen();
  await ready;
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeIdleConnections();
  // An answer that ends from here on leaves its connection open, for a next request that nobody would hear.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  await closed;
  clearInterval(sweep);
  clearTimeout(timer);
}

/** Whether somebody accepts connections at a Unix socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
