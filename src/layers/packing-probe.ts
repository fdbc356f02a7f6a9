import { createHash, randomUUID } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PlyboxError } from "../model/errors.ts";
import { parseDigest } from "../model/ids.ts";
import type { Catalog } from "./catalog.ts";
import type { Packing } from "./compression.ts";
import type { LayerMounts } from "./layer-mounts.ts";
import { packImage } from "./pack-image.ts";

/** Compresses to a part of itself, so that it is stored compressed. */
const SAMPLE = "what is packed here is mounted once, to see whether it can be\n".repeat(1000);
/** What has nothing to do with what can be packed, as programs say it. */
const NO_SPACE = /No space left on device/;

export interface ProbeOptions {
  readonly catalog: Catalog;
  readonly mounts: LayerMounts;
  /** Nothing is mounted here, so it is enough that it can be packed. */
  readonly packsOnly: boolean;
}

/**
 * Finds out, by doing it once with a small tree, whether this machine's tools can pack as they are asked to and whether
 * its kernel reads what they make. Kernel configurations are not always there to be read, and say nothing of the tools.
 */
export class PackingProbe {
  readonly #options: ProbeOptions;
  readonly #known = new Map<string, Promise<void>>();

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  /** @throws PlyboxError `host/missing` saying which of the two cannot, and why */
  async require(packing: Packing): Promise<void> {
    const key = JSON.stringify(packing);
    const known = this.#known.get(key) ?? this.#try(packing);
    this.#known.set(key, known);
    // What is missing may be installed meanwhile.
    known.catch(() => this.#known.delete(key));
    return await known;
  }

  async #try(packing: Packing): Promise<void> {
    const { catalog, packsOnly } = this.#options;
    const { format, compression } = packing;
    if (packsOnly && format === "erofs") {
      throw new PlyboxError("host/missing", "erofs layers have to be mounted, which takes root; use squashfs");
    }
    await catalog.prepare();
    const staging = await catalog.stage();
    try {
      const [source, image] = [join(staging, "tree"), join(staging, "sample.image")];
      await mkdir(source);
      await writeFile(join(source, "sample"), SAMPLE);
      await packImage(format, { source, image, compression, totalBytes: SAMPLE.length, mounts: [] }).catch((cause) =>
        cannot(packing, "this machine's tools do not pack", cause),
      );
      if (!packsOnly) await this.#mount(packing, image);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }

  async #mount(packing: Packing, image: string): Promise<void> {
    const { mounts } = this.#options;
    // Mounted like a layer that nobody uses: should this process be killed, the next one sweeps it.
    const place = parseDigest(createHash("sha256").update(randomUUID()).digest("hex"));
    await mounts
      .mount(place, image, packing.format)
      .catch((cause) => cannot(packing, "this kernel does not read", cause));
    await mounts.unmount(place);
  }
}

function cannot({ format, compression }: Packing, what: string, cause: unknown): never {
  if (cause instanceof PlyboxError && (cause.code === "host/missing" || NO_SPACE.test(cause.message))) throw cause;
  const { algorithm, level, blockBytes } = compression;
  const wanted = `${format} with ${algorithm}${level === null ? "" : ` ${level}`} in blocks of ${blockBytes} bytes`;
  // A tool's usage text can follow its complaint.
  const why = (cause instanceof Error ? cause.message : String(cause)).split("\n", 1)[0] ?? "";
  throw new PlyboxError("host/missing", `${what} ${wanted}: ${why}`, { step: format, cause });
}
