import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ImageFormat, Provenance } from "../../model/layer.ts";
import type { PlanWork } from "../pack-plan.ts";
import { packPlan } from "../pack-plan.ts";
import { requireProgram } from "../programs.ts";
import { runProgram } from "../run-program.ts";
import { LayerTree } from "../tar/layer-tree.ts";
import { readTar } from "../tar/tar-reader.ts";
import { TreeMeter } from "../tar/tree-meter.ts";
import { unsquash } from "../unpacked-image.ts";
import { debianSources } from "./debian-sources.ts";
import { keepAdditions } from "./keep-additions.ts";
import { makeSystem } from "./make-system.ts";

export interface PresetWork extends PlanWork {
  readonly packages: readonly string[];
  /** Of the layer that it is to stand on; undefined for a whole system. */
  readonly base?: { readonly image: string; readonly format: ImageFormat };
  /** Of programs that speak to the network. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Makes a layer of Debian packages in `staging`: a whole system with them, and of that, where it stands on another, what it
 * has besides. So what a package changes elsewhere (its accounts, its registration, the linker's cache) is in the layer too.
 * @throws PlyboxError `host/missing`, `layer/build-failed`, `layer/too-large`, `aborted`
 */
export async function packPreset(staging: string, work: PresetWork): Promise<Provenance> {
  const { packages, base, environment, bounds, signal, onProgress } = work;
  const sources = await debianSources();
  const system = join(staging, "system");
  const command = await makeSystem(system, join(staging, "scratch"), {
    ...{ packages, sources, environment },
    ...(signal && { signal }),
    onStep: (detail) => onProgress?.({ step: "install", doneBytes: 0, totalBytes: null, detail }),
  });
  const file = await open(system, "r");
  try {
    const meter = new TreeMeter(bounds);
    const tree = new LayerTree(meter);
    for await (const entry of readTar(file, (await file.stat()).size)) tree.add(entry);
    // This machine's own, which mmdebstrap needs to reach its mirrors.
    for (const name of ["hostname", "resolv.conf"]) tree.root.children.get("etc")?.children.delete(name);
    if (base !== undefined) {
      const below = join(staging, "below");
      await unpack(base.image, base.format, below);
      await keepAdditions(tree.root, file, Buffer.from(below));
      await rm(below, { recursive: true });
    }
    await packPlan({ root: tree.root, file, bytes: meter.bytes, latest: meter.latest }, staging, work);
  } finally {
    await file.close();
    await rm(system);
  }
  const source = `Debian ${sources.suite}: ${packages.join(" ")}`;
  return { kind: "debian", source, commands: [command], hosts: sources.hosts };
}

async function unpack(image: string, format: ImageFormat, target: string): Promise<void> {
  if (format === "squashfs") return await unsquash(image, target, { strict: true });
  const program = await requireProgram("fsck.erofs", "erofs-utils");
  await runProgram({ program, args: [`--extract=${target}`, "--overwrite", image] });
}
