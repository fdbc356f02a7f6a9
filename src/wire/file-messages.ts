import type { ErrorCode } from "../model/errors.ts";
import type {
  FileChange,
  FileEntry,
  FileStatus,
  FoundFile,
  ListedFile,
  OpenedFile,
  PathText,
  WRITE_KINDS,
} from "../model/file.ts";
import { FILE_CHANGES, FILE_TYPES } from "../model/file.ts";
import { fileCode } from "./peer-errors.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import type { Reader } from "./strict-reader.ts";
import { flag, integer, matching, object, oneOf, text } from "./strict-reader.ts";

interface Ops {
  readonly stat: { readonly follow?: boolean };
  readonly read: { readonly from?: number; readonly to?: number; readonly ifMatch?: string };
  readonly write: {
    readonly mode?: number;
    readonly how?: (typeof WRITE_KINDS)[number];
    readonly parents?: boolean;
    readonly ifMatch?: string;
  };
  readonly list: {
    readonly depth?: number;
    readonly after?: PathText;
    readonly limit?: number;
    readonly hidden?: boolean;
  };
  readonly mkdir: { readonly mode?: number; readonly parents?: boolean };
  readonly move: { readonly to: PathText; readonly overwrite?: boolean; readonly parents?: boolean };
  readonly remove: { readonly recursive?: boolean; readonly missing?: boolean };
  readonly chmod: { readonly mode: number; readonly recursive?: boolean };
  readonly chown: { readonly owner: string; readonly recursive?: boolean; readonly follow?: boolean };
  readonly symlink: { readonly target: PathText; readonly overwrite?: boolean };
  readonly search: {
    readonly name?: PathText;
    readonly content?: PathText;
    readonly regex?: boolean;
    readonly ignoreCase?: boolean;
    readonly depth?: number;
    readonly limit?: number;
    readonly contextBytes?: number;
  };
  readonly watch: { readonly recursive?: boolean };
  readonly "tar-out": { readonly exclude?: readonly string[] };
  readonly "tar-in": { readonly owner?: "archive" | "user"; readonly parents?: boolean };
}

/** Which file, and as whom: `name`, `uid`, `name:group` or `uid:gid` inside; root where nobody is named. */
export interface FileSubject {
  readonly path: PathText;
  readonly user?: string;
}

/** What an operation takes, docs/protocol.md §4 "file"; what is left out has the defaults that stand there. */
export type FileRequest<Op extends keyof Ops> = FileSubject & Ops[Op];
export type FileMessage = {
  [Op in keyof Ops]: { readonly type: "file"; readonly op: Op } & FileRequest<Op>;
}[keyof Ops];

const count = integer(0);
/** Base64 of at most 64 KiB. */
const base64 = matching(/^[A-Za-z0-9+/]{0,87382}={0,2}$/);
const raw = object<{ readonly base64: string }>({ base64 });
const utf8 = text(65_536);

/** Text, or bytes that are none. */
const pathText: Reader<PathText> = (value, path) => (typeof value === "string" ? utf8(value, path) : raw(value, path));

/** Counts above 2⁵³ come as digits, and are told as near as a number can. */
const wide: Reader<number> = (value, path) =>
  typeof value === "string" ? Number(matching(/^[0-9]{1,20}$/)(value, path)) : count(value, path);

const etag = matching(/^[!#-~]{1,128}$/);
const type = oneOf(...FILE_TYPES);
const id = integer(0, 2 ** 32 - 1);

const readEntry = object<FileEntry>(
  {
    name: pathText,
    type,
    size: wide,
    mode: integer(0, 0o7777),
    uid: id,
    gid: id,
    mtimeNs: matching(/^-?[0-9]{1,20}$/),
    inode: matching(/^[0-9]{1,20}$/),
    links: wide,
  },
  { target: pathText },
);

export const readStat = object<FileStatus>({ entry: readEntry, etag, path: pathText });
export const readCreated = object<{ readonly created: boolean }>({ created: flag });
export const readRemoved = object<{ readonly removed: number }>({ removed: count });
export const readChanged = object<{ readonly changed: number }>({ changed: count });

const readOpenedFields = object<OpenedFile>({ entry: readEntry, etag, from: count, to: count });

export const readOpened: Reader<OpenedFile> = (value, path) => {
  const opened = readOpenedFields(value, path);
  if (opened.to < opened.from) throw new ProtocolViolation("payload", `${path}.to is below its from`);
  return opened;
};

export const readBytes = object<{ readonly bytes: number }>({ bytes: count });
export const readWritten = object<{ readonly bytes: number; readonly etag: string }>({ bytes: count, etag });
export const readEntries = object<{ readonly entries: number }>({ entries: count });
export const readListEnd = object<{ readonly entries: number; readonly more: boolean }>({ entries: count, more: flag });
export const readSearchEnd = object<{ readonly matches: number; readonly more: boolean; readonly files: number }>({
  matches: count,
  more: flag,
  files: count,
});

const readCode: Reader<ErrorCode> = (value, path) => fileCode(matching(/^[a-z][a-z0-9-]{0,63}$/)(value, path));

const readListedEntry = object<Extract<ListedFile, { entry: unknown }>>({ path: pathText, entry: readEntry });
const readListedError = object<Extract<ListedFile, { error: unknown }>>({
  path: pathText,
  error: object<{ readonly code: ErrorCode }>({ code: readCode }),
});
export const readListed: Reader<ListedFile> = (value, path) =>
  has(value, "error") ? readListedError(value, path) : readListedEntry(value, path);

const readFoundLine = object<Extract<FoundFile, { line: number }>>({
  path: pathText,
  line: integer(1),
  column: integer(1),
  text: pathText,
});
export const readFound: Reader<FoundFile> = (value, path) =>
  has(value, "line") ? readFoundLine(value, path) : readListedEntry(value, path);

export const readChange = object<FileChange>(
  { kind: oneOf(...FILE_CHANGES) },
  { path: pathText, type, from: pathText },
);

const has = (value: unknown, name: string): boolean =>
  typeof value === "object" && value !== null && Object.hasOwn(value, name);
