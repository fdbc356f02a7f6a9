import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UndoStack } from "../src/base/undo-stack.ts";
import { Daemon } from "./daemon.ts";
import type { Sampling } from "./interleave.ts";
import type { Options } from "./options.ts";
import { compileReference, compileWorkload, findProgram, notInstalled, runProgram } from "./programs.ts";
import { ReferenceDriver } from "./reference-driver.ts";

const SHARED_MEMORY = "/dev/shm";
const WORKLOAD_LAYER = "100-workload";
const TMPFS_MAGIC = 0x01021994;

/** What a sandbox of ours and a reference stand on: the same two images, and the lower one unpacked. */
export interface Root {
  /** Layer names, bottom first. */
  readonly layers: readonly string[];
  /** Their squashfs images. */
  readonly images: readonly string[];
  /** The busybox layer's files in a directory. */
  readonly directory: string;
}

export interface Workload {
  /** Its path on this machine. */
  readonly program: string;
  /** A layer that has it as /opt/workload. */
  readonly layer: string;
}

/** What the benchmarks of one run share, in a directory of its own; disposing of it ends and removes all of it. */
export class Workbench implements AsyncDisposable {
  readonly options: Options;
  readonly signal: AbortSignal;
  readonly directory: string;
  readonly #reference: string;
  readonly #undo: UndoStack;
  #daemon: Promise<Daemon> | undefined;
  #root: Promise<Root> | undefined;
  #shared: Promise<string> | undefined;
  #workload: Promise<Workload> | undefined;

  private constructor(options: Options, signal: AbortSignal, made: Made) {
    this.options = options;
    this.signal = signal;
    this.directory = made.directory;
    this.#reference = made.reference;
    this.#undo = made.undo;
  }

  static async open(options: Options, signal: AbortSignal): Promise<Workbench> {
    await using undo = new UndoStack();
    const directory = await mkdtemp(join(tmpdir(), "plybox-bench-"));
    undo.push(`remove ${directory}`, () => removeUnmounted(directory));
    // The floor's root is nobody here, and looks up its layers by their paths.
    await chmod(directory, 0o711);
    const reference = await compileReference(directory);
    return new Workbench(options, signal, { directory, reference, undo: undo.move() });
  }

  get sampling(): Sampling {
    const { runs, turn } = this.options;
    return { runs, turn, warmups: Math.ceil(runs / 10), signal: this.signal };
  }

  /** The sampling in words, for a benchmark's method. */
  get described(): string {
    const { runs, turn, warmups } = this.sampling;
    return `${runs} runs after ${warmups} warm-ups, ${turn} a turn`;
  }

  /** A reference driver that ends with the bench; `wrapped` makes its command line of the driver's path. */
  driver(wrapped: (reference: string) => readonly string[]): ReferenceDriver {
    const driver = new ReferenceDriver(wrapped(this.#reference));
    this.#undo.push(`end the reference driver ${driver.pid}`, () => driver[Symbol.asyncDispose]());
    return driver;
  }

  /** For what a reference leaves behind; see UndoStack. */
  atEnd(label: string, undo: () => Promise<void>): void {
    this.#undo.push(label, undo);
  }

  /** A new directory whose name begins with `name`. */
  async makeDirectory(name: string): Promise<string> {
    const path = await mkdtemp(join(this.directory, `${name}-`));
    await chmod(path, 0o711);
    return path;
  }

  daemon(): Promise<Daemon> {
    this.#daemon ??= this.#startDaemon();
    return this.#daemon;
  }

  root(): Promise<Root> {
    this.#root ??= this.#makeRoot();
    return this.#root;
  }

  /** On a tmpfs, as /run is on most machines: making a file on a disk's file system may take as long as all the rest. */
  sharedMemory(): Promise<string> {
    this.#shared ??= this.#makeSharedMemory();
    return this.#shared;
  }

  /** bench/native/workload.c, compiled. */
  workload(): Promise<Workload> {
    this.#workload ??= this.#makeWorkload();
    return this.#workload;
  }

  async #makeSharedMemory(): Promise<string> {
    if ((await statfs(SHARED_MEMORY).catch(() => undefined))?.type !== TMPFS_MAGIC)
      return await this.makeDirectory("shared");
    const directory = await mkdtemp(join(SHARED_MEMORY, "plybox-bench-"));
    this.#undo.push(`remove ${directory}`, () => removeUnmounted(directory));
    return directory;
  }

  async #startDaemon(): Promise<Daemon> {
    const daemon = new Daemon({
      directory: await this.makeDirectory("daemon"),
      runDirectory: await this.sharedMemory(),
      logLevel: this.options.steps ? "debug" : "warn",
    });
    this.#undo.push("end the daemon and what it made", () => daemon[Symbol.asyncDispose]());
    await daemon.start();
    return daemon;
  }

  async #makeRoot(): Promise<Root> {
    const unsquashfs = findProgram("unsquashfs");
    if (unsquashfs === undefined) throw new Error(`unsquashfs: ${notInstalled("squashfs-tools")}`);
    const daemon = await this.daemon();
    const layers = await daemon.makeLayers(await this.makeDirectory("extra-layer"));
    const images = await daemon.images(layers);
    const directory = join(this.directory, "root");
    await runProgram(unsquashfs, ["-quiet", "-no-progress", "-dest", directory, images[0] ?? ""]);
    return { layers, images, directory };
  }

  async #makeWorkload(): Promise<Workload> {
    // Which knows, once it has a root, what to clear up at its end.
    await this.root();
    const program = await compileWorkload(await this.sharedMemory());
    const tree = await this.makeDirectory("workload-layer");
    await mkdir(join(tree, "opt"));
    await copyFile(program, join(tree, "opt/workload"));
    await (await this.daemon()).buildLayer(WORKLOAD_LAYER, tree);
    return { program, layer: WORKLOAD_LAYER };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#undo[Symbol.asyncDispose]();
  }
}

interface Made {
  readonly directory: string;
  readonly reference: string;
  readonly undo: UndoStack;
}

/** Removing through a mount that was left would remove what it shows. */
async function removeUnmounted(directory: string): Promise<void> {
  const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").map((line) => line.split(" ")[4] ?? "");
  const left = mounts.filter((mount) => mount.startsWith(`${directory}/`));
  if (left.length > 0) throw new Error(`these are still mounted:\n${left.join("\n")}`);
  await rm(directory, { recursive: true, force: true });
}
