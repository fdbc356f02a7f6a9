import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Plybox } from "../../src/client/plybox.ts";
import type { Sandbox } from "../../src/client/sandbox.ts";
import type { Benchmark, BenchmarkName, Measured, Unavailable } from "../benchmark.ts";
import type { Contender, Sampling } from "../interleave.ts";
import { interleave } from "../interleave.ts";
import { findProgram, notInstalled, runProgram } from "../programs.ts";
import { figure } from "../report.ts";
import { summarize } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const MIB = 1024 ** 2;
/** Of what takes a second there are as many times fewer samples than of what takes milliseconds. */
const FEWER = 100;
/** What a sandbox needs beside its files. */
const SPARE_BYTES = 512 * MIB;
/** What a caller reads and writes its own files by. */
const PIECE_BYTES = MIB;
const SMALL_BYTES = 1024;
const PER_DIRECTORY = 100;
const OCTETS = ["-H", "content-type: application/octet-stream"];
const CURL = "curl, HTTP API";

/** A file of the sandbox into a file of the host. */
export async function fileRead(bench: Workbench): Promise<Benchmark> {
  await using ground = await Ground.open(bench, 2 * bench.options.megabytes * MIB);
  const { plybox, source, target } = await ground.withLargeFile();
  await plybox.files.write("/root/large", createReadStream(source, { highWaterMark: PIECE_BYTES }));
  const ours = async (): Promise<void> =>
    pipeline(await plybox.files.readStream("/root/large"), createWriteStream(target, { highWaterMark: PIECE_BYTES }));
  const content = ground.url("content?path=/root/large");
  return await ground.compare("file-read", {
    method: `${bench.options.megabytes} MiB out of a sandbox into a file of the host`,
    after: () => rm(target),
    ways: [["plybox", ours], ["cp", () => runProgram("cp", [source, target])], ground.curl(["-o", target, content])],
  });
}

/** A file of the host into a file of the sandbox. */
export async function fileWrite(bench: Workbench): Promise<Benchmark> {
  await using ground = await Ground.open(bench, 2 * bench.options.megabytes * MIB);
  const { plybox, source, target } = await ground.withLargeFile();
  const size = bench.options.megabytes * MIB;
  const ours = () =>
    plybox.files.write("/root/large", createReadStream(source, { highWaterMark: PIECE_BYTES }), { size });
  const content = ground.url("content?path=/root/large");
  return await ground.compare("file-write", {
    method: `${bench.options.megabytes} MiB of a file of the host into a new file of a sandbox`,
    after: () => Promise.all([rm(target, { force: true }), plybox.files.remove("/root/large", { missing: true })]),
    ways: [
      ["plybox", ours],
      ["cp", () => runProgram("cp", [source, target])],
      ground.curl([...OCTETS, "-o", "/dev/null", "-T", source, content]),
    ],
  });
}

/** Ten thousand small files as an archive: out of a sandbox, and into another directory of it. */
export async function tarSmallFiles(bench: Workbench): Promise<Benchmark> {
  const { smallFiles } = bench.options;
  await using ground = await Ground.open(bench, smallFiles * 16 * SMALL_BYTES);
  const { plybox, directory } = ground;
  const [archive, copy, out] = ["small.tar", "copy.tar", "out"].map((name) => join(directory, name)) as Three;
  const small = await ground.makeSmallFiles(smallFiles);
  await runProgram("tar", ["-cf", archive, "-C", small, "."]);
  await plybox.files.uploadTar("/root/small", createReadStream(archive), { owner: "user" });
  const parts = { "tar down": [] as number[], "tar up": [] as number[] };
  const ours = async (): Promise<void> => {
    const began = performance.now();
    await pipeline(await plybox.files.downloadTar("/root/small"), createWriteStream(copy));
    parts["tar down"].push(performance.now() - began);
    const half = performance.now();
    await plybox.files.uploadTar("/root/out", createReadStream(archive), { owner: "user" });
    parts["tar up"].push(performance.now() - half);
  };
  const theirs = async (): Promise<void> => {
    await mkdir(out);
    await runProgram("tar", ["-cf", copy, "-C", small, "."]);
    await runProgram("tar", ["-xf", archive, "-C", out]);
  };
  const benchmark = await ground.compare("tar-10000", {
    method: `${smallFiles} files of ${SMALL_BYTES} bytes as an archive, out of a sandbox and into it`,
    after: async () => {
      for (const path of [copy, out]) await rm(path, { recursive: true, force: true });
      await plybox.files.remove("/root/out", { recursive: true, missing: true });
    },
    ways: [
      ["plybox", ours],
      ["tar", theirs],
    ],
  });
  const halves = Object.entries(parts).map(([name, all]) => `${name}: p50 ${figure(summarize(all).p50)} ms`);
  return { ...benchmark, notes: [...benchmark.notes, ...halves] };
}

type Three = [string, string, string];
type Way = readonly [name: string, run: () => Promise<unknown>];

interface Comparison {
  readonly method: string;
  /** Ours, then what it is compared with. */
  readonly ways: readonly (Way | Unavailable)[];
  /** Removes what a sample has made; not in the figure. */
  readonly after: () => Promise<unknown>;
}

/** A sandbox whose upper is a tmpfs, and a directory of the host on one too. */
class Ground implements AsyncDisposable {
  readonly plybox: Sandbox;
  readonly directory: string;
  readonly #socketPath: string;
  readonly #bench: Workbench;

  private constructor(bench: Workbench, plybox: Sandbox, { directory, socketPath }: Place) {
    this.#bench = bench;
    this.plybox = plybox;
    this.directory = directory;
    this.#socketPath = socketPath;
  }

  static async open(bench: Workbench, bytes: number): Promise<Ground> {
    const { layers } = await bench.root();
    const { socketPath } = await bench.daemon();
    const room = bytes + SPARE_BYTES;
    const plybox = await new Plybox({ socketPath }).create({
      layers,
      upper: { kind: "tmpfs", bytes: room },
      limits: { memoryBytes: room + SPARE_BYTES },
    });
    const directory = join(await bench.sharedMemory(), `files-${plybox.id}`);
    await mkdir(directory);
    return new Ground(bench, plybox, { directory, socketPath });
  }

  url(path: string): string {
    return `http://localhost/v1/sandboxes/${this.plybox.id}/files/${path}`;
  }

  /** The same request from a client that is not ours. */
  curl(args: readonly string[]): Way | Unavailable {
    const curl = findProgram("curl");
    if (curl === undefined) return { name: CURL, reason: notInstalled("curl") };
    const all = ["-sS", "--fail", "--unix-socket", this.#socketPath, ...args];
    return [CURL, () => runProgram(curl, all)];
  }

  async withLargeFile(): Promise<{ plybox: Sandbox; source: string; target: string }> {
    const source = join(this.directory, "source");
    await using file = await open(source, "w");
    const piece = Buffer.alloc(MIB, "what a file holds\n");
    for (let count = 0; count < this.#bench.options.megabytes; count++) await file.write(piece);
    return { plybox: this.plybox, source, target: join(this.directory, "target") };
  }

  async makeSmallFiles(count: number): Promise<string> {
    const top = join(this.directory, "small");
    const content = Buffer.alloc(SMALL_BYTES, "small\n");
    for (let index = 0; index < count; index++) {
      const directory = join(top, `d${Math.floor(index / PER_DIRECTORY)}`);
      if (index % PER_DIRECTORY === 0) await mkdir(directory, { recursive: true });
      await writeFile(join(directory, `f${index}`), content);
    }
    return top;
  }

  async compare(name: BenchmarkName, { method, ways, after }: Comparison): Promise<Benchmark> {
    const runs = Math.ceil(this.#bench.options.runs / FEWER);
    const sampling: Sampling = { runs, turn: 1, warmups: 1, signal: this.#bench.signal };
    const contenders = ways.flatMap((way) => ("reason" in way ? [] : [timed(way, after)]));
    const measured = await interleave(contenders, sampling);
    const found = (wanted: string): Measured =>
      measured.find((one) => one.name === wanted) ?? { name: wanted, samples: [] };
    const [, ...others] = ways;
    const references = others.map((way) => ("reason" in way ? way : found(way[0])));
    return {
      name,
      unit: "ms",
      method: `${method}; all on tmpfs, ${runs} runs after a warm-up, one a turn`,
      ours: found("plybox").samples,
      references,
      notes: curlNote(references),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plybox.remove();
    await rm(this.directory, { recursive: true, force: true });
  }
}

interface Place {
  readonly directory: string;
  readonly socketPath: string;
}

const timed = ([name, run]: Way, after: () => Promise<unknown>): Contender => ({
  name,
  async sample() {
    const began = performance.now();
    await run();
    const ms = performance.now() - began;
    await after();
    return ms;
  },
});

/** The API without our client is compared with the reference as ours is. */
function curlNote([reference, api]: readonly (Measured | Unavailable)[]): string[] {
  if (reference === undefined || api === undefined || "reason" in reference || "reason" in api) return [];
  const ratio = summarize(api.samples).p50 / summarize(reference.samples).p50;
  return [`${api.name} is ${figure(ratio)} × ${reference.name}`];
}
