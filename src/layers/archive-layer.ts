import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../model/ids.ts";
import type { PlanWork } from "./pack-plan.ts";
import { packPlan } from "./pack-plan.ts";
import { LayerTree } from "./tar/layer-tree.ts";
import { spoolArchive } from "./tar/spool.ts";
import { readTar } from "./tar/tar-reader.ts";
import { TreeMeter } from "./tar/tree-meter.ts";

/**
 * Makes an image of a tar archive in `staging`. The archive is read into a plan of the layer, checked, and written anew
 * for who packs it: nothing of it is unpacked by its own names, and neither devices nor owners take privileges.
 * Returns the SHA-256 of the archive as it came.
 * @throws PlyboxError `file/bad-archive`, `input/invalid`, `layer/too-large`, and as packing does
 */
export async function packArchive(archive: AsyncIterable<Buffer>, staging: string, work: PlanWork): Promise<Digest> {
  const { bounds, signal, onProgress } = work;
  const spool = join(staging, "archive");
  const { digest } = await spoolArchive(archive, spool, {
    ...{ mostBytes: bounds.unpackedBytes, signal },
    onBytes: (doneBytes) => onProgress?.({ step: "read", doneBytes, totalBytes: null }),
  });
  const file = await open(spool, "r");
  try {
    const meter = new TreeMeter(bounds);
    const tree = new LayerTree(meter);
    for await (const entry of readTar(file, (await file.stat()).size)) tree.add(entry);
    await packPlan({ root: tree.root, file, bytes: meter.bytes, latest: meter.latest }, staging, work);
  } finally {
    await file.close();
    await rm(spool);
  }
  return digest;
}
