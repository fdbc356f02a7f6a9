import type { ErrorBody, FileChangeView, FileListView, FoundLine } from "../api/contract.ts";
import type { Connection } from "./connection.ts";
import type { FileCallOptions, ListFilesOptions } from "./file-options.ts";
import { depthOf, encodedPath, fileQuery } from "./file-options.ts";
import type { FoundFile, ListedFile, PathInput, PathText } from "./file-views.ts";
import { foundOf, listedOf } from "./file-views.ts";
import { PlyboxApiError, unreachable } from "./plybox-api-error.ts";

export interface SearchOptions extends FileCallOptions {
  /** Glob of the name, such as `*.ts`. */
  readonly name?: string;
  /** What a line must hold; `name` or `content` is needed. */
  readonly content?: string;
  /** `content` is a POSIX extended regular expression. */
  readonly regex?: boolean;
  readonly ignoreCase?: boolean;
  /** Levels below the path; all by default. */
  readonly depth?: number;
  /** At most so many matches; all by default. */
  readonly limit?: number;
  /** Of a matching line; 200 by default. */
  readonly contextBytes?: number;
}

export interface WatchFilesOptions extends FileCallOptions {
  /** Whether what lies deeper is watched too; true by default. */
  readonly recursive?: boolean;
  /** Called when nothing is missed any more. */
  readonly onReady?: () => void;
}

/** What happened below a watched path; `gone` is the last. */
export type FileChange = FileChangeView;

/** All pages, one after the other. */
export async function* listFiles(
  connection: Connection,
  base: string,
  path: PathInput,
  { signal, depth, pageSize, ...options }: ListFilesOptions,
): AsyncGenerator<ListedFile, void, undefined> {
  const query = fileQuery(path, { ...options, depth: depthOf(depth), limit: pageSize });
  let after: PathText | null = null;
  do {
    const place: string = `${base}${query}${after === null ? "" : `&after=${encodedPath(after)}`}`;
    const page: FileListView = await connection.json("GET", place, undefined, { signal });
    for (const view of page.entries) yield listedOf(view);
    after = page.next;
  } while (after !== null);
}

/** Matches as they are found. Leaving the loop ends the search. */
export async function* searchFiles(
  connection: Connection,
  base: string,
  path: PathInput,
  { signal, ...options }: SearchOptions,
): AsyncGenerator<FoundFile, void, undefined> {
  const place = `${base}/search${fileQuery(path, { ...options, depth: depthOf(options.depth) })}`;
  const headers = { accept: "application/x-ndjson" };
  const response = await connection.open("GET", place, { headers }, { signal });
  for await (const line of linesOf(response.chunks())) {
    const found = JSON.parse(line) as FoundLine;
    if ("end" in found) return;
    yield foundOf(found);
  }
  throw unreachable("the search broke off");
}

/** Changes as they happen. Leaving the loop, or an abort, which throws its reason, ends the watch. */
export async function* watchFiles(
  connection: Connection,
  base: string,
  path: PathInput,
  { signal, onReady, ...options }: WatchFilesOptions,
): AsyncGenerator<FileChange, void, undefined> {
  const place = `${base}/watch${fileQuery(path, { ...options })}`;
  for await (const { event, data } of await connection.events("GET", place, undefined, { signal })) {
    if (event === "error") throw new PlyboxApiError(JSON.parse(data) as ErrorBody["error"], 0);
    if (event === "begin") onReady?.();
    if (event !== "change") continue;
    const change = JSON.parse(data) as FileChange;
    yield change;
    if (change.kind === "gone") return;
  }
  throw unreachable("the watch broke off");
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
