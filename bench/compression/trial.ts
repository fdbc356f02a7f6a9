import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { packImage } from "../../src/layers/pack-image.ts";
import type { NativeLauncher } from "../../src/native/launcher.ts";
import { LAUNCHER } from "../repository.ts";
import { percentile } from "../statistics.ts";
import type { RuntimeTree } from "./runtimes.ts";
import { FIRST_EXECS, filesOf } from "./runtimes.ts";
import type { Setting } from "./settings.ts";

/** Of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;
const MB = 1e6;

/** Medians, where there are several rounds. MB are 10^6 bytes of the tree's files. */
export interface Figures {
  readonly setting: string;
  readonly blockBytes: number;
  /** Of the tree's bytes to the image's. */
  readonly ratio: number;
  readonly compressMBs: number;
  /** Of processor time, of all threads together: what another load on the machine does not change. */
  readonly compressMBPerCpuSecond: number;
  readonly coldReadMBs: number;
  readonly warmReadMBs: number;
  readonly firstExecMs: Readonly<Record<"python" | "node", number>>;
}

/** Forgets what the kernel holds of a file: its clean pages. */
const FORGET = `import os, sys
for path in sys.stdin.buffer.read().split(b"\\0"):
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)`;

/** Packs, mounts and reads a tree in several ways, each time as when nobody has read it. */
export class Trial {
  readonly #tree: RuntimeTree;
  readonly #work: string;
  readonly #rounds: number;
  readonly #launcher: NativeLauncher;

  static async open(tree: RuntimeTree, work: string, rounds: number): Promise<Trial> {
    const module = (await import(LAUNCHER)) as typeof import("../../src/native/launcher.ts");
    return new Trial({ tree, work, rounds }, new module.NativeLauncher({ private: false }));
  }

  private constructor(
    { tree, work, rounds }: { tree: RuntimeTree; work: string; rounds: number },
    launcher: NativeLauncher,
  ) {
    this.#launcher = launcher;
    this.#tree = tree;
    this.#work = work;
    this.#rounds = rounds;
  }

  async run({ name, format, compression }: Setting): Promise<Figures> {
    const image = join(this.#work, `image.${format}`);
    const { directory: source, bytes: totalBytes } = this.#tree;
    const [cpuBefore, before] = [childSeconds(), performance.now()];
    await packImage(format, { source, image, compression, totalBytes, mounts: [] });
    const seconds = (performance.now() - before) / 1000;
    const cpuSeconds = childSeconds() - cpuBefore;
    execFileSync("sync", ["-f", image]);
    try {
      return {
        setting: name,
        blockBytes: compression.blockBytes,
        ratio: totalBytes / statSync(image).size,
        compressMBs: totalBytes / MB / seconds,
        compressMBPerCpuSecond: totalBytes / MB / cpuSeconds,
        ...(await this.#use((use) => this.#mounted(image, format, use))),
      };
    } finally {
      rmSync(image);
    }
  }

  /** The tree as it is on the disk, for comparison. */
  async plain(): Promise<Figures> {
    const { directory } = this.#tree;
    const figures = await this.#use(async (use) => {
      forget(filesOf(directory));
      return await use(directory);
    });
    return { setting: "directory", blockBytes: 0, ratio: 1, compressMBs: 0, compressMBPerCpuSecond: 0, ...figures };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#launcher.close();
  }

  async #use(
    cold: <T>(use: (root: string) => T) => Promise<T>,
  ): Promise<Pick<Figures, "coldReadMBs" | "warmReadMBs" | "firstExecMs">> {
    const reads: number[][] = [];
    const execs = { python: [] as number[], node: [] as number[] };
    for (let round = 0; round < this.#rounds; round++) {
      reads.push(await cold((root) => [timeRead(root), timeRead(root)]));
      for (const exec of FIRST_EXECS) {
        execs[exec.name].push(await cold((root) => timeExec(exec.command(root), exec.env(root))));
      }
    }
    const rate = (index: number) => this.#tree.bytes / MB / (median(reads.map((pair) => pair[index] ?? 0)) / 1000);
    const firstExecMs = { python: median(execs.python), node: median(execs.node) };
    return { coldReadMBs: rate(0), warmReadMBs: rate(1), firstExecMs };
  }

  async #mounted<T>(image: string, format: Setting["format"], use: (root: string) => T): Promise<T> {
    const target = join(this.#work, "mount");
    forget([image]);
    mkdirSync(target, { recursive: true });
    await this.#launcher.mountImage({ image, format, target });
    try {
      return use(target);
    } finally {
      await this.#launcher.unmount(target);
    }
  }
}

function forget(files: readonly string[]): void {
  execFileSync("/usr/bin/python3", ["-c", FORGET], { input: files.join("\0") });
}

function timeRead(root: string): number {
  const begin = performance.now();
  const { status } = spawnSync("sh", ["-c", 'find "$1" -type f -print0 | xargs -0 cat >/dev/null', "sh", root]);
  if (status !== 0) throw new Error(`${root} cannot be read`);
  return performance.now() - begin;
}

function timeExec([program = "", ...args]: readonly string[], env: NodeJS.ProcessEnv): number {
  const begin = performance.now();
  const { status, stderr } = spawnSync(program, args, { env: { PATH: "/usr/bin:/bin", ...env } });
  if (status !== 0) throw new Error(`${program} fails: ${stderr}`);
  return performance.now() - begin;
}

/** Processor time of the children that have ended. */
function childSeconds(): number {
  const stat = readFileSync("/proc/self/stat", "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

const median = (values: readonly number[]): number =>
  percentile(
    [...values].sort((a, b) => a - b),
    50,
  );
