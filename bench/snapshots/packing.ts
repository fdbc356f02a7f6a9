import { execFile, execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { completeCompression } from "../../src/layers/compression.ts";
import { squashfsArguments } from "../../src/layers/squashfs.ts";
import { copyRuntimes } from "../compression/runtimes.ts";
import { PACK_PLY } from "../repository.ts";
import { percentile } from "../statistics.ts";
import type { Suite } from "./figure.ts";

/** As a snapshot is packed where nothing else is asked for. */
const STANDARD = completeCompression("squashfs", "snapshot");
const GZIP = completeCompression("squashfs", "layer", { algorithm: "gzip", blockBytes: 262_144 });

/** Those whose times are near one another are measured more often, and neither always comes after the same one. */
const PAIR = ["snapshot", "mksquashfs", "mksquashfs", "snapshot"] as const;
const TURNS = [...PAIR, ...PAIR, "gzip"] as const;

/** Gives each file and directory what overlayfs notes of what it copies up, which a snapshot leaves out. */
const MARK = `import os
for path, folders, files in os.walk("."):
  os.setxattr(path, "trusted.overlay.impure", b"y")
  for name in files:
    if not os.path.islink(os.path.join(path, name)): os.setxattr(os.path.join(path, name), "trusted.overlay.origin", os.urandom(29))`;

/** A snapshot against mksquashfs alone: of the same tree, in turns. */
export const PACKING: Suite = {
  names: ["snapshot-vs-mksquashfs", "snapshot-vs-gzip256"],
  async run(work, rounds, signal) {
    const { packPly } = (await import(PACK_PLY)) as typeof import("../../src/snapshots/plies/pack-ply.ts");
    const tree = copyRuntimes(join(work, "tree"));
    execFileSync("/usr/bin/python3", ["-c", MARK], { cwd: tree.directory });
    const image = join(work, "image");
    const packing = { format: "squashfs", compression: STANDARD } as const;
    const ways = {
      snapshot: () => packPly({ source: tree.directory, image, packing, signal }),
      mksquashfs: () => mksquashfs(tree.directory, image, STANDARD),
      gzip: () => mksquashfs(tree.directory, image, GZIP),
    };
    const seconds = { snapshot: [] as number[], mksquashfs: [] as number[], gzip: [] as number[] };
    // One round more, which is not counted: it reads the tree from the disk.
    for (let round = 0; round <= rounds; round++) {
      for (const name of TURNS) {
        signal.throwIfAborted();
        const begin = performance.now();
        await ways[name]();
        if (round > 0) seconds[name].push((performance.now() - begin) / 1000);
        rmSync(image);
      }
    }
    const [snapshot, bare, gzip] = [median(seconds.snapshot), median(seconds.mksquashfs), median(seconds.gzip)];
    const detail = (other: string, time: number) =>
      `${snapshot.toFixed(2)} s, ${other} ${time.toFixed(2)} s, of ${(tree.bytes / 1e6).toFixed(0)} MB in ${tree.files} files`;
    return [
      {
        ...{
          name: "snapshot-vs-mksquashfs",
          value: snapshot / bare,
          unit: "× its time",
          detail: detail("mksquashfs", bare),
        },
        bound: { is: "at most", value: 1.05 },
      },
      {
        ...{
          name: "snapshot-vs-gzip256",
          value: gzip / snapshot,
          unit: "× as fast",
          detail: detail("gzip in 256K", gzip),
        },
        bound: { is: "at least", value: 3 },
      },
    ];
  },
};

async function mksquashfs(source: string, image: string, compression: typeof STANDARD): Promise<void> {
  const args = [source, image, ...squashfsArguments(compression), "-noappend", "-no-progress", "-quiet"];
  await promisify(execFile)("mksquashfs", args);
}

const median = (values: readonly number[]): number =>
  percentile(
    [...values].sort((a, b) => a - b),
    50,
  );
