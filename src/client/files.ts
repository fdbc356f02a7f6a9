import type {
  ChangedView,
  ChmodBody,
  ChownBody,
  CreatedView,
  FileStatusView,
  MkdirBody,
  MoveBody,
  RemovedView,
  SymlinkBody,
  UnpackedView,
  WrittenView,
} from "../api/contract.ts";
import type { WRITE_KINDS } from "../model/file.ts";
import { bodyOf, jsonOf, sizedBody } from "./bodies.ts";
import type { Connection } from "./connection.ts";
import type {
  ChmodOptions,
  ChownOptions,
  FileCallOptions,
  ListFilesOptions,
  MkdirOptions,
  MoveOptions,
  RemoveOptions,
  StatOptions,
  SymlinkOptions,
} from "./file-options.ts";
import { fileQuery, octal } from "./file-options.ts";
import type { FileChange, SearchOptions, WatchFilesOptions } from "./file-streams.ts";
import { listFiles, searchFiles, watchFiles } from "./file-streams.ts";
import type { FileStatus, FoundFile, ListedFile, PathInput } from "./file-views.ts";
import { pathText, statusOf } from "./file-views.ts";
import { PlyboxApiError } from "./plybox-api-error.ts";

export interface ReadFileOptions extends FileCallOptions {
  /** First byte; 0 by default. */
  readonly from?: number;
  /** The byte behind the last one; the end of the file by default. */
  readonly to?: number;
  /** Only while the file has this etag; `file/changed` otherwise. */
  readonly ifMatch?: string;
}

export interface WriteFileOptions extends FileCallOptions {
  /** Of a new file; 0o644 by default. */
  readonly mode?: number;
  /** In place of the old content (default), as a file that must not be there yet, or behind the content. */
  readonly how?: (typeof WRITE_KINDS)[number];
  /** Make the directories above it that are missing. */
  readonly parents?: boolean;
  /** Only while the file has this etag; `file/changed` otherwise. */
  readonly ifMatch?: string;
  /** How many bytes a stream will give, where that is known: what is large takes less time then. It must be right. */
  readonly size?: number;
}

export interface TarOptions extends FileCallOptions {
  /** Globs of names, or of paths below, that are left out. */
  readonly exclude?: readonly string[];
}

export interface UploadTarOptions extends FileCallOptions {
  /** Who is to own what is unpacked: the ids of the archive (default) or the user. */
  readonly owner?: "archive" | "user";
  /** Make the path where it is missing; true by default. */
  readonly parents?: boolean;
}

/** What a file is written from. */
export type FileContent = string | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

/** What was written: its etag is another one when the content is another. */
export type WrittenFile = WrittenView;

/**
 * The files of a sandbox. Paths are absolute; a `Uint8Array` is the path of a file whose name is no UTF-8. Every method
 * throws `PlyboxApiError` with a `file/…` code, or the signal's reason.
 */
export class Files {
  readonly #connection: Connection;
  readonly #path: string;

  /** @param sandboxPath such as `/v1/sandboxes/web` */
  constructor(connection: Connection, sandboxPath: string) {
    this.#connection = connection;
    this.#path = `${sandboxPath}/files`;
  }

  /** All of a file as UTF-8. */
  async readText(path: PathInput, options?: ReadFileOptions): Promise<string> {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await this.read(path, options));
  }

  /** All of a file. */
  async read(path: PathInput, options?: ReadFileOptions): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of await this.readStream(path, options)) pieces.push(piece);
    return joined(pieces);
  }

  /** A file piece by piece, once. A slow reader holds back the sandbox's side and nobody's memory. */
  async readStream(path: PathInput, options: ReadFileOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const { from, to, ifMatch, user, signal } = options;
    if (to !== undefined && to <= (from ?? 0)) return nothing();
    const isPart = from !== undefined || to !== undefined;
    const headers = {
      ...(isPart && { range: `bytes=${from ?? 0}-${to === undefined ? "" : to - 1}` }),
      ...(ifMatch !== undefined && { "if-match": `"${ifMatch}"` }),
    };
    try {
      const place = `${this.#path}/content${fileQuery(path, { user })}`;
      return (await this.#connection.open("GET", place, { headers }, { signal })).chunks();
    } catch (error) {
      // Behind the end there is nothing, as for any reader of files.
      if (error instanceof PlyboxApiError && error.code === "file/out-of-range") return nothing();
      throw error;
    }
  }

  /** Writes all of a file at once or, where it fails in the middle, nothing; `append` writes as it goes. */
  async write(path: PathInput, content: FileContent, options: WriteFileOptions = {}): Promise<WrittenFile> {
    const { mode, how, parents, ifMatch, size, user, signal } = options;
    const place = `${this.#path}/content${fileQuery(path, { mode: octal(mode), how, parents, user })}`;
    const headers = {
      "content-type": "application/octet-stream",
      ...(ifMatch !== undefined && { "if-match": `"${ifMatch}"` }),
    };
    const asked = { headers, ...sizedBody(content, size) };
    return await jsonOf(await this.#connection.open("PUT", place, asked, { signal }));
  }

  /** Writes behind what a file holds; makes it where it is missing. */
  async append(path: PathInput, content: FileContent, options?: Omit<WriteFileOptions, "how">): Promise<WrittenFile> {
    return await this.write(path, content, { ...options, how: "append" });
  }

  async stat(path: PathInput, { follow, user, signal }: StatOptions = {}): Promise<FileStatus> {
    const place = `${this.#path}/stat${fileQuery(path, { follow, user })}`;
    return statusOf(await this.#connection.json<FileStatusView>("GET", place, undefined, { signal }));
  }

  /** Whether there is something at the path; a symlink to nothing is nothing. */
  async exists(path: PathInput, options?: StatOptions): Promise<boolean> {
    try {
      await this.stat(path, options);
      return true;
    } catch (error) {
      const { code } = error instanceof PlyboxApiError ? error : { code: "" };
      if (code === "file/not-found" || code === "file/not-a-directory") return false;
      throw error;
    }
  }

  /** What is in a directory, by the bytes of the paths: `for await (const { path } of files.list("/root"))`. */
  list(path: PathInput, options: ListFilesOptions = {}): AsyncGenerator<ListedFile, void, undefined> {
    return listFiles(this.#connection, this.#path, path, options);
  }

  /** Whether it was made; with `parents` one that is there is fine. */
  async mkdir(path: PathInput, { mode, signal, ...options }: MkdirOptions = {}): Promise<boolean> {
    const bits = octal(mode);
    const body: MkdirBody = { path: pathText(path), ...options, ...(bits !== undefined && { mode: bits }) };
    const place = `${this.#path}/mkdir`;
    return (await this.#connection.json<CreatedView>("POST", place, body, { signal })).created;
  }

  async move(path: PathInput, to: PathInput, { signal, ...options }: MoveOptions = {}): Promise<void> {
    const body: MoveBody = { path: pathText(path), to: pathText(to), ...options };
    await this.#connection.json("POST", `${this.#path}/move`, body, { signal });
  }

  /** How many files and directories were removed. */
  async remove(path: PathInput, { signal, ...options }: RemoveOptions = {}): Promise<number> {
    const place = `${this.#path}${fileQuery(path, { ...options })}`;
    return (await this.#connection.json<RemovedView>("DELETE", place, undefined, { signal })).removed;
  }

  /** How many were changed. */
  async chmod(path: PathInput, mode: number, { signal, ...options }: ChmodOptions = {}): Promise<number> {
    const body: ChmodBody = { path: pathText(path), mode: octal(mode) ?? "", ...options };
    return (await this.#connection.json<ChangedView>("POST", `${this.#path}/chmod`, body, { signal })).changed;
  }

  /** @param owner `name`, `uid`, `name:group` or `uid:gid` */
  async chown(path: PathInput, owner: string, { signal, ...options }: ChownOptions = {}): Promise<number> {
    const body: ChownBody = { path: pathText(path), owner, ...options };
    return (await this.#connection.json<ChangedView>("POST", `${this.#path}/chown`, body, { signal })).changed;
  }

  /** Makes a symbolic link at `path` that points to `target`. */
  async symlink(target: PathInput, path: PathInput, { signal, ...options }: SymlinkOptions = {}): Promise<void> {
    const body: SymlinkBody = { path: pathText(path), target: pathText(target), ...options };
    await this.#connection.json("POST", `${this.#path}/symlink`, body, { signal });
  }

  /** Files by name, lines by content, as they are found. */
  search(path: PathInput, options: SearchOptions): AsyncGenerator<FoundFile, void, undefined> {
    return searchFiles(this.#connection, this.#path, path, options);
  }

  /** What happens below a path, as it happens. */
  watch(path: PathInput, options: WatchFilesOptions = {}): AsyncGenerator<FileChange, void, undefined> {
    return watchFiles(this.#connection, this.#path, path, options);
  }

  /** A POSIX archive of a directory, whose own entry is `.`, or of a file. */
  async downloadTar(path: PathInput, { exclude, user, signal }: TarOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const place = `${this.#path}/tar${fileQuery(path, { exclude, user })}`;
    return (await this.#connection.open("GET", place, { headers: {} }, { signal })).chunks();
  }

  /** Unpacks an archive below a path; answers how many entries it had. */
  async uploadTar(path: PathInput, archive: FileContent, options: UploadTarOptions = {}): Promise<number> {
    const { owner, parents, user, signal } = options;
    const place = `${this.#path}/tar${fileQuery(path, { owner, parents, user })}`;
    const asked = { headers: { "content-type": "application/x-tar" }, body: bodyOf(archive) };
    return (await jsonOf<UnpackedView>(await this.#connection.open("PUT", place, asked, { signal }))).entries;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const piece of pieces) {
    whole.set(piece, end);
    end += piece.length;
  }
  return whole;
}
