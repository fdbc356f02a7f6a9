import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { ExecResultView, LayerListView, SandboxList, SandboxView } from "../src/api/contract.ts";
import { HttpClient, jsonBytes } from "./http-client.ts";
import type { ProcessMemory } from "./machine.ts";
import { cgroupsOf, childrenOf, readProcessMemory } from "./machine.ts";
import { COMMAND } from "./repository.ts";

const EXTRA_LAYER = "100-bench";
const LOG_SHOWN = 3000;
const REMOVERS = 8;
const END_MS = 15_000;

export interface DaemonOptions {
  /** Its state and its log go below this empty directory. */
  readonly directory: string;
  /** For its sockets and mounts. */
  readonly runDirectory: string;
  /** With `debug` the log has the steps of each launch. */
  readonly logLevel: "debug" | "warn";
}

/** `plybox serve` as it is built, on directories of its own. */
export class Daemon implements AsyncDisposable {
  readonly socketPath: string;
  readonly #directory: string;
  readonly #environment: NodeJS.ProcessEnv;
  #process: ChildProcess | undefined;
  #hasListened = false;
  /** What its sandboxes' cgroups are below; its own, as its directories are. */
  #cgroups: readonly string[] = [];

  constructor({ directory, runDirectory, logLevel }: DaemonOptions) {
    this.#directory = directory;
    this.socketPath = join(runDirectory, "plybox.sock");
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("PLYBOX_"));
    this.#environment = {
      ...Object.fromEntries(inherited),
      PLYBOX_STATE_DIR: join(directory, "state"),
      PLYBOX_RUN_DIR: runDirectory,
      PLYBOX_LOG_LEVEL: logLevel,
    };
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get #logPath(): string {
    return join(this.#directory, "daemon.log");
  }

  /** What it has logged, a JSON object a line. */
  log(): Promise<string> {
    return readFile(this.#logPath, "utf8");
  }

  /** @throws Error with the end of its log when it ends before it listens */
  async start(): Promise<void> {
    const log = await open(this.#logPath, "a");
    // A process group of its own: Ctrl-C is for the benchmark, which first removes the sandboxes.
    const child = spawn(process.execPath, [COMMAND, "serve"], {
      cwd: "/",
      detached: true,
      env: this.#environment,
      stdio: ["ignore", "pipe", log.fd],
    });
    this.#process = child;
    const ended = once(child, "close").then(async ([code]) => {
      throw new Error(`the daemon ended with ${code} before it listened:\n${(await this.log()).slice(-LOG_SHOWN)}`);
    });
    try {
      if (child.stdout !== null) await Promise.race([once(createInterface(child.stdout), "line"), ended]);
      this.#hasListened = true;
    } finally {
      ended.catch(() => {}); // From here on its end is what is asked of it.
      await log.close();
    }
  }

  /**
   * Two layers, bottom first: busybox, which the daemon makes when it is first used, and one with a single file.
   * @param extra an empty directory
   */
  async makeLayers(extra: string): Promise<string[]> {
    await writeFile(join(extra, "bench"), "the second layer\n");
    await this.buildLayer(EXTRA_LAYER, extra);
    using client = new HttpClient(this.socketPath);
    const { body } = await client.send("POST", "/v1/sandboxes", jsonBytes({ layers: ["busybox", EXTRA_LAYER] }));
    const { id, layers, state } = parseSandbox(body);
    if (state.kind === "running") this.#cgroups = parentsOf(state.pid);
    await client.send("DELETE", `/v1/sandboxes/${id}`);
    return layers;
  }

  /** A layer with what is in `directory`. */
  async buildLayer(name: string, directory: string): Promise<void> {
    const args = [COMMAND, "layer", "build", name, "--from-dir", directory];
    await promisify(execFile)(process.execPath, args, { env: this.#environment });
  }

  /** The images of these layers, in their order. */
  async images(layers: readonly string[]): Promise<string[]> {
    using client = new HttpClient(this.socketPath);
    const { body } = await client.send("GET", "/v1/layers");
    const known = (JSON.parse(body.toString()) as LayerListView).layers;
    return layers.map((layer) => {
      const digest = known.find(({ name }) => name === layer)?.digest ?? "";
      return join(this.#directory, "state/layers", digest, "image.squashfs");
    });
  }

  /** What the daemon and its launcher hold in memory, in KiB. */
  memory(): Pick<ProcessMemory, "rss" | "own"> {
    const all = [this.pid, ...childrenOf(this.pid)].map(readProcessMemory);
    return {
      rss: all.reduce((sum, { rss }) => sum + rss, 0),
      own: all.reduce((sum, { own }) => sum + own, 0),
    };
  }

  /**
   * Removes every sandbox and stops the daemon. One that has died is started again first, since nobody else knows what
   * it made.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process === undefined || !this.#hasListened) return;
    if (!isRunning(this.#process)) await this.start();
    try {
      using client = new HttpClient(this.socketPath, REMOVERS);
      await removeSandboxes(client);
    } finally {
      await stop(this.#process);
      for (const cgroup of this.#cgroups) await removeCgroup(cgroup);
    }
  }
}

const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

export const parseSandbox = (body: Buffer): SandboxView => JSON.parse(body.toString()) as SandboxView;
export const parseResult = (body: Buffer): ExecResultView => JSON.parse(body.toString()) as ExecResultView;

/** The cgroups of this name that a sandbox is below, in each hierarchy. */
function parentsOf(pid: number): string[] {
  return cgroupsOf(pid).flatMap(({ path }) => /^.*?\/plybox[^/]*(?=\/)/.exec(path)?.[0] ?? []);
}

async function removeCgroup(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

async function stop(daemon: ChildProcess): Promise<void> {
  if (!isRunning(daemon)) return;
  const closed = once(daemon, "close");
  const late = setTimeout(() => daemon.kill("SIGKILL"), END_MS);
  daemon.kill("SIGTERM");
  await closed;
  clearTimeout(late);
}

/** Removes all that the daemon has. */
export async function removeSandboxes(client: HttpClient): Promise<void> {
  const { body } = await client.send("GET", "/v1/sandboxes");
  const living = (JSON.parse(body.toString()) as SandboxList).sandboxes.filter(
    ({ state }) => state.kind !== "destroyed",
  );
  const outcomes = await Promise.allSettled(living.map(({ id }) => client.send("DELETE", `/v1/sandboxes/${id}`)));
  const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} sandboxes could not be removed`);
}
