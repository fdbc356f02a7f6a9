import * as z from "zod";
import { FILE_CHANGES, FILE_TYPES, WRITE_KINDS } from "../../model/file.ts";
import { VERBATIM } from "../query.ts";
import { absolutePath, user } from "./text.ts";

const MAX_BYTES = 4095;
const MAX_PATTERN_BYTES = 65_535;

const bytes = (most: number) =>
  z
    .base64("must be base64 with padding")
    .refine((text) => Buffer.byteLength(text, "base64") <= most, `must be at most ${most.toLocaleString("en")} bytes`);

/** Text, or the bytes of what is no UTF-8. */
const textOrBytes = (text: z.ZodType<string>, most: number, error: string) =>
  z.union([text, z.strictObject({ base64: bytes(most) })], { error });

const plain = (most: number) =>
  z
    .string()
    .min(1)
    .regex(/^[^\0\p{Cs}]*$/u, "must not contain NUL or half a surrogate pair")
    .refine((text) => Buffer.byteLength(text) <= most, `must be at most ${most.toLocaleString("en")} bytes`);

const NO_PATH = 'must be an absolute path without NUL, or {"base64": …} of one';
const isPath = (path: string | { readonly base64: string }): boolean =>
  typeof path === "string" || /^\/[^\0]*$/s.test(Buffer.from(path.base64, "base64").toString("latin1"));
const path = textOrBytes(absolutePath, MAX_BYTES, NO_PATH).refine(isPath, NO_PATH);
const name = textOrBytes(plain(MAX_BYTES), MAX_BYTES, "must be text without NUL");
const pattern = textOrBytes(plain(MAX_PATTERN_BYTES), MAX_PATTERN_BYTES, "must be text without NUL");

const mode = z
  .string()
  .regex(/^[0-7]{3,4}$/, "must be an octal mode of 3 or 4 digits, such as 0644")
  .describe("Permissions in octal, such as 0644.");
const count = z.int().min(0);
const limit = z.int().min(1).max(10_000);
const depth = z.int().min(1).max(1_000_000);

const whose = {
  user: z.exactOptional(user.describe("Whose rights count: name, uid, name:group or uid:gid; root by default.")),
};
const where = { path: path.describe("Absolute path inside."), ...whose };

/** In a query nothing is taken for a number or a boolean that may be a name, and a path may be any bytes. */
const queried = {
  path: path.meta(VERBATIM).describe("Absolute path inside; bytes that are no UTF-8 are percent-encoded, as %FF."),
  user: z.exactOptional(
    user.meta(VERBATIM).describe("Whose rights count: name, uid, name:group or uid:gid; root by default."),
  ),
};

export const statQuery = z.strictObject({
  ...queried,
  follow: z.exactOptional(z.boolean().describe("Whether a symlink at the path is followed; true by default.")),
});

export const readQueryFields = z.strictObject(queried);

export const writeQuery = z.strictObject({
  ...queried,
  mode: z.exactOptional(mode.meta(VERBATIM).describe("Of a new file, in octal; 0644 by default.")),
  how: z.exactOptional(z.enum(WRITE_KINDS).describe("replace (default), create or append.")),
  parents: z.exactOptional(z.boolean().describe("Make the directories above it that are missing.")),
});

export const listQueryFields = z.strictObject({
  ...queried,
  depth: z.exactOptional(depth.describe("Levels below the path; 1 by default.")),
  after: z.exactOptional(name.meta(VERBATIM).describe("Go on behind this path, `next` of the page before.")),
  limit: z.exactOptional(limit.describe("Entries of a page, 1,000 by default; a stream has all.")),
  hidden: z.exactOptional(z.boolean().describe("Whether names that begin with a dot are told; true by default.")),
});

export const removeQuery = z.strictObject({
  ...queried,
  recursive: z.exactOptional(z.boolean().describe("A directory with all that is in it.")),
  missing: z.exactOptional(z.boolean().describe("What is not there counts as removed.")),
});

export const searchQuery = z.strictObject({
  ...queried,
  name: z.exactOptional(name.meta(VERBATIM).describe("Glob of the name, such as *.ts.")),
  content: z.exactOptional(pattern.meta(VERBATIM).describe("What a line must hold; name or content is needed.")),
  regex: z.exactOptional(z.boolean().describe("content is a POSIX extended regular expression.")),
  ignoreCase: z.exactOptional(z.boolean().describe("A and a are the same.")),
  depth: z.exactOptional(depth.describe("Levels below the path; all by default.")),
  limit: z.exactOptional(limit.describe("Matches of an answer, 1,000 by default; a stream has all.")),
  contextBytes: z.exactOptional(z.int().min(0).max(65_536).describe("Of a matching line; 200 by default.")),
});

export const watchQuery = z.strictObject({
  ...queried,
  recursive: z.exactOptional(z.boolean().describe("Whether what lies deeper is watched too; true by default.")),
});

export const downloadTarQuery = z.strictObject({
  ...queried,
  exclude: z.exactOptional(
    z.array(z.string().min(1).max(4096)).max(1000).describe("Glob of a name, or of a path below; may be repeated."),
  ),
});

export const uploadTarQuery = z.strictObject({
  ...queried,
  owner: z.exactOptional(z.enum(["archive", "user"]).describe("Who is to own what is unpacked; archive by default.")),
  parents: z.exactOptional(z.boolean().describe("Make the path, and what is missing above it; true by default.")),
});

export const mkdirBody = z.strictObject({
  ...where,
  mode: z.exactOptional(mode.describe("0755 by default.")),
  parents: z.exactOptional(z.boolean().describe("Make what is missing above it; a directory that is there is fine.")),
});

export const moveBody = z.strictObject({
  ...where,
  to: path.describe("The new path."),
  overwrite: z.exactOptional(z.boolean().describe("Take the place of a file that is there.")),
  parents: z.exactOptional(z.boolean().describe("Make the directories above the new path that are missing.")),
});

const recursive = z.exactOptional(z.boolean().describe("Everything below it too."));

export const chmodBody = z.strictObject({ ...where, mode, recursive });

export const chownBody = z.strictObject({
  ...where,
  owner: user.describe("name, uid, name:group or uid:gid."),
  recursive,
  follow: z.exactOptional(z.boolean().describe("Whether a symlink at the path is followed; true by default.")),
});

export const symlinkBody = z.strictObject({
  ...where,
  target: name.describe("What it points to."),
  overwrite: z.exactOptional(z.boolean().describe("Take the place of a file that is there.")),
});

const shown = z
  .union([z.string(), z.object({ base64: z.string() })])
  .describe('Text where it is UTF-8, {"base64": …} of its bytes where it is not.');

export const fileEntry = z.object({
  name: shown,
  type: z.enum(FILE_TYPES),
  size: count.describe("In bytes."),
  mode: z.string().describe("Permissions in octal, such as 0644."),
  uid: count,
  gid: count,
  mtime: z.iso.datetime(),
  mtimeNs: z.string().describe("Nanoseconds since 1970."),
  inode: z.string(),
  links: count,
  target: z.exactOptional(shown.describe("Where a symlink points to.")),
});

export const fileStatus = z.object({
  path: shown.describe("With every symlink resolved."),
  etag: z.string().describe("Changes with the content; what if-match takes, in quotes."),
  entry: fileEntry,
});

const listedEntry = z.object({ path: shown.describe("Below the path of the request."), entry: fileEntry });

export const listedFile = z.union([
  listedEntry,
  z.object({ path: shown, error: z.object({ code: z.string() }) }).describe("A directory that cannot be read."),
]);

export const fileList = z.object({
  entries: z.array(listedFile).describe("By the bytes of their paths."),
  next: shown.nullable().describe("`after` of the next page; null where this is the last."),
});

const listEnd = z.object({ entries: count, more: z.boolean() });

export const fileListLine = z.union([listedFile, z.object({ end: listEnd.describe("The last line.") })]);

export const foundFile = z.union([
  listedEntry,
  z.object({
    path: shown,
    line: count.describe("From 1."),
    column: count.describe("Of its first match, in bytes from 1."),
    text: shown.describe("The line, or the part of it around the match."),
  }),
]);

const searchEnd = {
  files: count.describe("Files that were looked into."),
  more: z.boolean().describe("Whether the limit cut it off."),
};

export const foundList = z.object({ matches: z.array(foundFile), ...searchEnd });

export const foundLine = z.union([
  foundFile,
  z.object({ end: z.object({ matches: count, ...searchEnd }).describe("The last line.") }),
]);

export const fileChange = z.object({
  kind: z.enum(FILE_CHANGES).describe("overflow: events were lost; gone: the path itself is, and the stream ends."),
  path: z.exactOptional(shown.describe("Below the path of the request; . is itself. An overflow has none.")),
  type: z.exactOptional(z.enum(FILE_TYPES).describe("Of what was created or moved.")),
  from: z.exactOptional(shown.describe("Where what moved was before.")),
});

export const watchBegin = z.object({}).describe("From here on nothing is missed.");
export const written = z.object({ bytes: count.describe("That were sent."), etag: z.string() });
export const created = z.object({ created: z.boolean().describe("False where it was there.") });
export const removed = z.object({ removed: count.describe("How many files and directories.") });
export const changed = z.object({ changed: count.describe("How many files and directories.") });
export const unpacked = z.object({ entries: count.describe("Of the archive.") });
