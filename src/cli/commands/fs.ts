import type { Writable } from "node:stream";
import type { Command } from "commander";
import type { FileEntry, Files, ListedFile, PathText } from "../../client/index.ts";
import { jsonLine, writtenOut } from "../../model/printable.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { copyToStream } from "../copy/copy.ts";
import { jsonOption, parsed } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { paintFor } from "../render/style.ts";
import { renderTable } from "../render/table.ts";
import { parseCount } from "../values/numbers.ts";
import { formatSize } from "../values/size.ts";

interface FsOptions extends ConnectOptions {
  readonly user?: string;
  readonly json?: true;
  readonly recursive?: true;
  readonly force?: true;
  readonly parents?: true;
  readonly overwrite?: true;
  readonly depth?: number;
  readonly name?: string;
  readonly content?: string;
  readonly regex?: true;
  readonly ignoreCase?: true;
}

interface Call {
  readonly files: Files;
  readonly words: readonly string[];
  readonly options: FsOptions;
  /** The user alone, as every call takes it. */
  readonly as: { readonly user?: string };
  readonly context: CliContext;
}

export function defineFs(program: Command, context: CliContext): void {
  const fs = program.command("fs");
  const add = (words: string, summary: string, run: (call: Call) => Promise<void>): Command => {
    const command = fs
      .command(words)
      .summary(summary)
      .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
      .option("--user <user>", "whose rights count inside (default: root)");
    return connectOptions(command).action(async (...args: unknown[]) => {
      const [sandbox = "", ...rest] = args.filter((arg): arg is string => typeof arg === "string");
      const options = command.opts<FsOptions>();
      const { files } = await (await connect(options, context)).get(sandbox);
      const as = options.user === undefined ? {} : { user: options.user };
      await run({ files, words: rest, options, as, context });
    });
  };
  add("ls <sandbox> <path>", "list a directory", list)
    .addOption(parsed("--depth <levels>", "levels below the path (default: 1)", parseCount))
    .addOption(jsonOption("print the entries as JSON"));
  add("stat <sandbox> <path>", "show what a file is", stat).addOption(jsonOption("print it as JSON"));
  add("cat <sandbox> <path>", "print a file", cat);
  add("rm <sandbox> <path>", "remove a file", remove)
    .option("-r, --recursive", "a directory with all that is in it")
    .option("-f, --force", "do not mind what is not there");
  add("mkdir <sandbox> <path>", "make a directory", mkdir).option("-p, --parents", "with what is missing above it");
  add("mv <sandbox> <source> <destination>", "move or rename a file", move).option("-f, --overwrite", "over another");
  add("find <sandbox> <path>", "search files by name, and lines by content", find)
    .option("--name <glob>", "of the file's name, such as *.ts")
    .option("--content <text>", "what a line must hold")
    .option("--regex", "the content is a POSIX extended regular expression")
    .option("-i, --ignore-case", "A and a are the same")
    .addOption(jsonOption("print a JSON object a line"));
  add("watch <sandbox> <path>", "print what happens to files until it is interrupted", watch).addOption(
    jsonOption("print a JSON object a line"),
  );
}

async function list({ files, words: [path = ""], options, as, context }: Call): Promise<void> {
  const { depth, json } = options;
  const found: ListedFile[] = [];
  for await (const each of files.list(path, { ...as, ...(depth !== undefined && { depth }) })) found.push(each);
  if (json) return writeJson(context.stdout, found);
  const rows = found.map((each) =>
    "error" in each ? ["-", "-", "-", "-", `${shown(each.path)} (${each.error.code})`] : rowOf(each, each.path),
  );
  const columns = [
    { title: "MODE" },
    { title: "OWNER" },
    { title: "SIZE", align: "right" },
    { title: "MODIFIED" },
    { title: "PATH" },
  ] as const;
  context.stdout.write(renderTable(columns, rows, paintFor(context, context.stdout)));
}

const rowOf = ({ type, mode, uid, gid, size, mtime, target }: FileEntry, path: PathText): string[] => [
  modeText(type, mode),
  `${uid}:${gid}`,
  formatSize(size),
  mtime.toISOString().slice(0, 19),
  shown(path) + (type === "directory" ? "/" : "") + (target === undefined ? "" : ` -> ${shown(target)}`),
];

const LETTERS: Readonly<Record<FileEntry["type"], string>> = {
  file: "-",
  directory: "d",
  symlink: "l",
  fifo: "p",
  socket: "s",
  "character-device": "c",
  "block-device": "b",
};

const modeText = (type: FileEntry["type"], mode: number): string =>
  `${LETTERS[type]} ${mode.toString(8).padStart(4, "0")}`;

/** A name may hold what a terminal would take for a command. */
const shown = (path: PathText): string =>
  writtenOut(typeof path === "string" ? path : Buffer.from(path.base64, "base64").toString());

async function stat({ files, words: [path = ""], options, as, context }: Call): Promise<void> {
  const status = await files.stat(path, { ...as, follow: false });
  if (options.json) return writeJson(context.stdout, status);
  const [mode, owner, size, modified] = rowOf(status, status.path);
  const lines = { path: shown(status.path), type: status.type, mode, owner, size, modified, etag: status.etag };
  for (const [name, value] of Object.entries(lines)) context.stdout.write(`${name.padEnd(10)}${value}\n`);
}

async function cat({ files, words: [path = ""], as, context }: Call): Promise<void> {
  await copyToStream(files, path, context.stdout as unknown as Writable, { ...as, onBytes() {}, skip() {} });
}

async function remove({ files, words: [path = ""], options, as }: Call): Promise<void> {
  await files.remove(path, {
    ...as,
    ...(options.recursive && { recursive: true }),
    ...(options.force && { missing: true }),
  });
}

async function mkdir({ files, words: [path = ""], options, as }: Call): Promise<void> {
  await files.mkdir(path, { ...as, ...(options.parents && { parents: true }) });
}

async function move({ files, words: [from = "", to = ""], options, as }: Call): Promise<void> {
  await files.move(from, to, { ...as, ...(options.overwrite && { overwrite: true }) });
}

async function find({ files, words: [path = ""], options, as, context }: Call): Promise<void> {
  const { name, content, regex, ignoreCase, json } = options;
  const wanted = {
    ...as,
    ...(name !== undefined && { name }),
    ...(content !== undefined && { content }),
    ...(regex && { regex }),
    ...(ignoreCase && { ignoreCase }),
  };
  for await (const found of files.search(path, wanted)) {
    const line = "line" in found ? `${shown(found.path)}:${found.line}:${shown(found.text)}` : shown(found.path);
    context.stdout.write(json ? `${jsonLine(found)}\n` : `${line}\n`);
  }
}

async function watch({ files, words: [path = ""], options, as, context }: Call): Promise<void> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  context.interrupts.on("SIGINT", interrupt);
  context.interrupts.on("SIGTERM", interrupt);
  try {
    for await (const change of files.watch(path, { ...as, signal: stop.signal })) {
      const { kind, path: place = "", from } = change;
      const line = `${kind.padEnd(10)} ${from === undefined ? "" : `${shown(from)} -> `}${shown(place)}`;
      context.stdout.write(options.json ? `${jsonLine(change)}\n` : `${line}\n`);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    context.interrupts.off("SIGINT", interrupt);
    context.interrupts.off("SIGTERM", interrupt);
  }
}
