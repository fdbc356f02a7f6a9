import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, stat } from "node:fs/promises";
import { dirname, join, normalize } from "node:path/posix";
import type { TarEntry } from "../tar/tar-reader.ts";
import { readTar } from "../tar/tar-reader.ts";
import { badImage } from "./image-error.ts";

/** Files of an archive of images; honest ones have some for each layer. */
const MOST_ENTRIES = 100_000;
const MOST_LINKS = 8;
const CHUNK_BYTES = 1024 * 1024;

/** One file, read from where it is. */
export interface ImageFile {
  readonly bytes: number;
  chunks(): AsyncGenerator<Buffer>;
}

/** What an image is kept in: a directory, or an archive, which is read in place. */
export interface ImageFiles extends AsyncDisposable {
  /** Undefined where there is no such file. */
  find(name: string): Promise<ImageFile | undefined>;
}

/** The files below a directory. */
export function directoryFiles(directory: string): ImageFiles {
  return {
    async find(name) {
      const path = join(directory, name);
      const stats = await stat(path).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === "ENOENT" || cause.code === "ENOTDIR") return undefined;
        throw badImage(`${JSON.stringify(name)} cannot be read (${cause.code})`, cause);
      });
      if (stats === undefined) return undefined;
      // A pipe in a file's place would be waited for.
      if (!stats.isFile()) throw badImage(`${JSON.stringify(name)} is no file`);
      return {
        bytes: stats.size,
        async *chunks() {
          const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
          try {
            yield* chunksOf(file, 0, stats.size);
          } finally {
            await file.close();
          }
        },
      };
    },
    async [Symbol.asyncDispose]() {},
  };
}

/**
 * The files of an uncompressed archive.
 * @throws PlyboxError `file/bad-archive`, `image/invalid`
 */
export async function archiveFiles(path: string): Promise<ImageFiles> {
  const file = await open(path, "r");
  try {
    const entries = new Map<string, TarEntry>();
    for await (const entry of readTar(file, (await file.stat()).size)) {
      entries.set(normalize(entry.name), entry);
      if (entries.size > MOST_ENTRIES) throw badImage(`its archive has more than ${MOST_ENTRIES} files`);
    }
    return {
      async find(name) {
        const entry = follow(entries, normalize(name));
        return entry && { bytes: entry.size, chunks: () => chunksOf(file, entry.offset, entry.size) };
      },
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Older versions of `docker save` wrote a layer that several images have once, and links to it. */
function follow(entries: ReadonlyMap<string, TarEntry>, name: string): TarEntry | undefined {
  let entry = entries.get(name);
  for (let links = 0; entry !== undefined && !"07".includes(entry.type); links++) {
    if (links === MOST_LINKS || !"12".includes(entry.type)) throw badImage(`${JSON.stringify(name)} is no file`);
    entry = entries.get(entry.type === "1" ? normalize(entry.link) : join(dirname(normalize(entry.name)), entry.link));
  }
  return entry;
}

async function* chunksOf(file: FileHandle, from: number, bytes: number): AsyncGenerator<Buffer> {
  for (let done = 0; done < bytes; ) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, bytes - done));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from + done);
    if (bytesRead === 0) throw badImage("it became shorter while it was read");
    done += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
