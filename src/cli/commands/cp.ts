import type { Writable } from "node:stream";
import type { Command } from "commander";
import type { Files } from "../../client/index.ts";
import { PlyboxError } from "../../model/errors.ts";
import { jsonLine } from "../../model/printable.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import type { CopyOptions } from "../copy/copy.ts";
import { copyFromStream, copyIn, copyOut, copyToStream } from "../copy/copy.ts";
import { parsePlace } from "../copy/place.ts";
import { jsonOption } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { Progress } from "../render/progress.ts";
import { formatSize } from "../values/size.ts";

interface CpOptions extends ConnectOptions {
  readonly recursive?: true;
  readonly user?: string;
  readonly json?: true;
}

export function defineCp(program: Command, context: CliContext): void {
  const command = program
    .command("cp")
    .argument("<source>", "a path, SANDBOX:/path, or - for standard input")
    .argument("<destination>", "a path, SANDBOX:/path, or - for standard output")
    .option("-r, --recursive", "copy a directory with all that is in it")
    .option("--user <user>", "whose rights count inside, and who is to own the copy there (default: root)")
    .addOption(jsonOption("print what was copied as JSON"));
  connectOptions(command).action(async (source: string, destination: string, options: CpOptions) => {
    await cp(source, destination, options, context);
  });
}

async function cp(source: string, destination: string, options: CpOptions, context: CliContext): Promise<void> {
  const [from, to] = [parsePlace(source), parsePlace(destination)];
  const inner = from.kind === "inner" ? from : to;
  if (inner.kind !== "inner" || (from.kind === "inner" && to.kind === "inner")) {
    throw new PlyboxError("input/invalid", "one of the two, and one alone, is SANDBOX:/path");
  }
  const { files } = await (await connect(options, context)).get(inner.sandbox);
  let bytes = 0;
  let place: string | null = null;
  {
    using progress = new Progress(context.stderr, `copying ${source}`);
    const copy: CopyOptions = {
      ...(options.user !== undefined && { user: options.user }),
      ...(options.recursive && { recursive: true }),
      onBytes(count) {
        bytes += count;
        progress.update(`copying ${source} ${formatSize(bytes)}`);
      },
      // As JSON: a name may hold what a terminal would take for a command.
      skip: (path) => void context.stderr.write(`plybox: left out: ${jsonLine(path)}\n`),
    };
    place = await run(files, from, to, { copy, context });
  }
  if (options.json && to.kind !== "stream") writeJson(context.stdout, { source, destination: place, bytes });
}

type Ends = ReturnType<typeof parsePlace>;

async function run(
  files: Files,
  from: Ends,
  to: Ends,
  { copy, context }: { readonly copy: CopyOptions; readonly context: CliContext },
): Promise<string | null> {
  if (from.kind === "inner" && to.kind === "local") return await copyOut(files, from.path, to.path, copy);
  if (from.kind === "inner") {
    await copyToStream(files, from.path, context.stdout as unknown as Writable, copy);
    return null;
  }
  if (to.kind !== "inner") throw new PlyboxError("internal", "neither end of a copy is inside");
  if (from.kind === "local") return `${to.sandbox}:${await copyIn(files, from.path, to.path, copy)}`;
  await copyFromStream(files, context.stdin as AsyncIterable<Uint8Array>, to.path, copy);
  return `${to.sandbox}:${to.path}`;
}
