import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { PlyboxError } from "../../model/errors.ts";
import type { Digest } from "../../model/ids.ts";
import { badArchive, shown } from "../tar/archive-error.ts";
import type { StreamedEntry } from "../tar/tar-stream.ts";
import { streamTar } from "../tar/tar-stream.ts";
import type { Arrival } from "./intake.ts";
import type { Descriptor } from "./oci-artifact.ts";
import { parseArtifact, parseArtifactConfig, parseIndex, REF_NAME } from "./oci-artifact.ts";

const BLOB = /^blobs\/sha256\/([0-9a-f]{64})$/;
const DIRECTORIES: ReadonlySet<string> = new Set(["blobs/", "blobs", "blobs/sha256/", "blobs/sha256", "./", "."]);
/** Of the index, and of each manifest and configuration. */
const MOST_TEXT_BYTES = 1024 * 1024;
/** Each layer has three, and a sandbox stands on 64 layers. */
const MOST_ENTRIES = 4096;

export interface ReadOptions {
  /** Of the whole archive. */
  readonly mostBytes: number;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * Reads layers from an archive in the OCI layout as it comes. Its blobs go to files of `directory` under the digests
 * that they have, whatever else the archive calls them; nothing else of it is written.
 * @throws PlyboxError `file/bad-archive` naming what is wrong, `layer/too-large`, `aborted`
 */
export async function readArchive(
  archive: AsyncIterable<Buffer>,
  directory: string,
  options: ReadOptions,
): Promise<readonly Arrival[]> {
  let index: string | undefined;
  let entries = 0;
  const blobs = new Set<Digest>();
  for await (const entry of streamTar(watched(archive, options))) {
    if (++entries > MOST_ENTRIES) throw badArchive(`it has more than ${MOST_ENTRIES} entries`);
    const name = entry.name.startsWith("./") && entry.name.length > 2 ? entry.name.slice(2) : entry.name;
    if (entry.type === "5" && DIRECTORIES.has(name)) continue;
    if (entry.type !== "0") throw badArchive(`${shown(entry.name)} is no file`);
    const [, digest] = BLOB.exec(name) ?? [];
    if (digest !== undefined) {
      if (blobs.has(digest as Digest)) throw badArchive(`${shown(entry.name)} is there twice`);
      await spoolBlob(entry, join(directory, digest), digest as Digest);
      blobs.add(digest as Digest);
    } else if (name === "index.json") index = await textOf(entry);
    else if (name === "oci-layout") await textOf(entry);
    else throw badArchive(`${shown(entry.name)} has no place in it`);
  }
  if (index === undefined) throw badArchive("it has no index.json: it holds no layers");
  return await new Layout(directory, blobs).layers(index);
}

async function* watched(archive: AsyncIterable<Buffer>, options: ReadOptions): AsyncGenerator<Buffer> {
  const { mostBytes, signal, onBytes } = options;
  let bytes = 0;
  for await (const chunk of archive) {
    if (signal?.aborted) throw new PlyboxError("aborted", "the import was aborted", { cause: signal.reason });
    bytes += chunk.length;
    if (bytes > mostBytes) {
      throw new PlyboxError(
        "layer/too-large",
        `the archive is refused: it has more than the ${mostBytes} bytes that are allowed`,
      );
    }
    onBytes?.(bytes);
    yield chunk;
  }
}

async function spoolBlob(entry: StreamedEntry, path: string, digest: Digest): Promise<void> {
  const hash = createHash("sha256");
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const chunk of entry.content()) {
      hash.update(chunk);
      yield chunk;
    }
  }
  await pipeline(hashed(), createWriteStream(path, { flags: "wx", mode: 0o600 }));
  if (hash.digest("hex") !== digest) throw badArchive(`${shown(entry.name)} does not match its digest`);
}

async function textOf(entry: StreamedEntry): Promise<string> {
  if (entry.size > MOST_TEXT_BYTES) throw badArchive(`${shown(entry.name)} has ${entry.size} bytes`);
  const pieces: Buffer[] = [];
  for await (const piece of entry.content()) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** The blobs of an archive, each under its digest. */
class Layout {
  readonly #directory: string;
  readonly #blobs: ReadonlySet<Digest>;

  constructor(directory: string, blobs: ReadonlySet<Digest>) {
    this.#directory = directory;
    this.#blobs = blobs;
  }

  /** Every layer that the index names. An image that two layers have goes to the first of them. */
  async layers(index: string): Promise<readonly Arrival[]> {
    const taken = new Set<Digest>();
    const arrivals: Arrival[] = [];
    for (const descriptor of said("index.json", () => parseIndex(index))) {
      const label = descriptor.annotations?.[REF_NAME] ?? descriptor.digest;
      const artifact = said(label, () => this.#text(descriptor).then(parseArtifact));
      const { config, image, signatures } = await artifact;
      const manifest = await said(label, async () => parseArtifactConfig(await this.#text(config), image));
      await said(label, () => this.#require(image));
      const { digest } = manifest;
      arrivals.push({
        signed: { manifest, signatures },
        image: taken.has(digest) ? null : join(this.#directory, digest),
      });
      taken.add(digest);
    }
    return arrivals;
  }

  async #text(descriptor: Descriptor): Promise<string> {
    if (descriptor.size > MOST_TEXT_BYTES) throw new Error(`a text of it has ${descriptor.size} bytes`);
    return await readFile(await this.#require(descriptor), "utf8");
  }

  async #require({ digest, size }: Descriptor): Promise<string> {
    if (!this.#blobs.has(digest)) throw new Error(`the blob ${digest} is missing`);
    const path = join(this.#directory, digest);
    const { size: actual } = await stat(path);
    if (actual !== size) throw new Error(`the blob ${digest} has ${actual} bytes instead of ${size}`);
    return path;
  }
}

/** Names what is wrong by what it is wrong with. */
function said<T>(what: string, parse: () => T): T {
  const refuse = (cause: unknown): never => {
    throw badArchive(`${shown(what)}: ${(cause as Error).message}`, cause);
  };
  try {
    const parsed = parse();
    return (parsed instanceof Promise ? parsed.catch(refuse) : parsed) as T;
  } catch (cause) {
    return refuse(cause);
  }
}
