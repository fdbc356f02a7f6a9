import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Writable } from "node:stream";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { create } from "tar";
import type { Files } from "../../client/index.ts";
import { PlyboxError } from "../../model/errors.ts";
import { isCoded } from "../fail.ts";
import { baseName } from "./place.ts";
import { unpack } from "./unpack.ts";

export interface CopyOptions {
  readonly user?: string;
  /** Directories with all that is in them. */
  readonly recursive?: boolean;
  /** Told of bytes as they pass. */
  readonly onBytes: (count: number) => void;
  /** Told of what cannot be copied. */
  readonly skip: (path: string) => void;
}

const PIECE_BYTES = 1024 ** 2;

/** Copies a file or a directory of this machine into a sandbox; answers where it went. */
export async function copyIn(files: Files, from: string, to: string, options: CopyOptions): Promise<string> {
  const as = userOf(options);
  const source = await stat(from).catch((cause: unknown) => {
    throw new PlyboxError("file/not-found", `${from} cannot be read`, { cause });
  });
  const place = await innerPlace(files, from, to, options);
  if (!source.isDirectory()) {
    await files.write(place, counted(readWhole(from, source), options), {
      ...as,
      mode: source.mode & 0o777,
      ...(source.size > 0 && { size: source.size }),
    });
    return place;
  }
  needRecursive(from, options);
  const archive = create({ cwd: from, onwarn: (_code, message) => options.skip(String(message)) }, ["."]);
  await files.uploadTar(place, counted(archive as unknown as AsyncIterable<Uint8Array>, options), {
    ...as,
    owner: "user",
  });
  return place;
}

/** A file as long as it is now, also where it grows meanwhile. */
function readWhole(path: string, { size }: Stats): AsyncIterable<Uint8Array> {
  if (size === 0) return createReadStream(path);
  return createReadStream(path, { highWaterMark: PIECE_BYTES, end: size - 1 });
}

/** Copies a file or a directory of a sandbox to this machine; answers where it went. */
export async function copyOut(files: Files, from: string, to: string, options: CopyOptions): Promise<string> {
  const as = userOf(options);
  const source = await files.stat(from, as);
  const place = await localPlace(from, to);
  if (source.type !== "directory") {
    const content = counted(await files.readStream(from, as), options);
    await writeLocal(content, place, source.mode & 0o777);
    return place;
  }
  needRecursive(from, options);
  await mkdir(place, { recursive: true });
  await unpack(counted(await files.downloadTar(from, as), options), place, options.skip);
  return place;
}

export async function copyToStream(files: Files, from: string, to: Writable, options: CopyOptions): Promise<void> {
  const content = counted(await files.readStream(from, userOf(options)), options);
  // The caller's own stream stays open.
  await pipeline(Readable.from(content, { objectMode: false }), to, { end: false });
}

export async function copyFromStream(
  files: Files,
  from: AsyncIterable<Uint8Array>,
  to: string,
  options: CopyOptions,
): Promise<void> {
  await files.write(to, counted(from, options), userOf(options));
}

const userOf = ({ user }: CopyOptions): { readonly user?: string } => (user === undefined ? {} : { user });

/** A directory that is there gets the copy under its own name; every other path is the copy's new name. */
async function innerPlace(files: Files, from: string, to: string, options: CopyOptions): Promise<string> {
  const there = await files.stat(to, userOf(options)).catch((error: unknown) => {
    if (isCoded(error) && error.code === "file/not-found") return undefined;
    throw error;
  });
  if (there?.type !== "directory") return needNoSlash(to);
  const name = baseName(from);
  // `..` and `.` have names elsewhere.
  const own = name ?? (from.endsWith(".") && !/(?:^|\/)\.$/.test(from) ? basename(resolve(from)) : undefined);
  return own === undefined ? to : `${to.replace(/\/+$/, "")}/${own}`;
}

async function localPlace(from: string, to: string): Promise<string> {
  const there = await stat(to).catch(() => undefined);
  if (there?.isDirectory() !== true) return needNoSlash(to);
  const name = baseName(from);
  return name === undefined ? to : join(to, name);
}

function needNoSlash(to: string): string {
  if (!to.endsWith("/")) return to;
  throw new PlyboxError("file/not-a-directory", `${to} is no directory`);
}

function needRecursive(from: string, { recursive }: CopyOptions): void {
  if (recursive !== true) throw new PlyboxError("file/is-a-directory", `${from} is a directory: give -r`);
}

/** A file takes its place when all of it has come; what is no regular file, such as /dev/null, is written to. */
export async function writeLocal(content: AsyncIterable<Uint8Array>, place: string, mode: number): Promise<void> {
  const there = await stat(place).catch(() => undefined);
  const isDirect = there !== undefined && !there.isFile();
  const draft = isDirect ? place : join(dirname(place), `.plybox-${randomBytes(8).toString("hex")}`);
  try {
    await pipeline(
      content,
      createWriteStream(draft, { mode, flags: isDirect ? "w" : "wx", highWaterMark: PIECE_BYTES }),
    );
    if (!isDirect) await rename(draft, place);
  } catch (error) {
    if (!isDirect) await rm(draft, { force: true });
    throw error;
  }
}

async function* counted(
  content: AsyncIterable<Uint8Array>,
  { onBytes }: Pick<CopyOptions, "onBytes">,
): AsyncGenerator<Uint8Array> {
  for await (const piece of content) {
    onBytes(piece.length);
    yield piece;
  }
}
