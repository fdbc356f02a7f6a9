import type { Command } from "commander";
import { PlyboxError } from "../../model/errors.ts";
import type { MovedLayer, PullOptions, PushOptions, RemoteOptions, RemoteProgress } from "../../model/remote.ts";
import { connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { withDaemonOrStore } from "../daemon-or-store.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import type { LayerOptions } from "../layer-source.ts";
import { jsonOption } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { Progress } from "../render/progress.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import { formatSize } from "../values/size.ts";

type Moved = readonly (Pick<MovedLayer, "bytes" | "outcome"> & { readonly name: string; readonly digest: string })[];

/** The daemon's object storage, or that of this process. */
interface RemoteStore {
  push(layers: readonly string[], options: PushOptions): Promise<Moved>;
  pull(layers: readonly string[], options: PullOptions): Promise<Moved>;
  sync(options: RemoteOptions): Promise<Moved>;
}

interface MoveOptions extends LayerOptions {
  readonly replace?: true;
  readonly requireSignature?: true;
}

export function definePush(program: Command, context: CliContext): void {
  const command = program
    .command("push")
    .argument("<layer...>", "the layers; those that they were made on go before them")
    .option("--replace", "give names to other content than they have there")
    .addOption(jsonOption("print what became of each layer as JSON"));
  connectOptions(command).action(async (layers: string[], options: MoveOptions) => {
    const { replace = false } = options;
    await move(options, context, (remote, how) => remote.push(layers, { ...how, replace }));
  });
}

export function definePull(program: Command, context: CliContext): void {
  const command = program
    .command("pull")
    .argument("<layer...>", "the layers, by name or digest; those that they were made on come before them")
    .option("--replace", "take names from the layers that have them")
    .option("--require-signature", "refuse what no trusted key has signed")
    .addOption(jsonOption("print what became of each layer as JSON"));
  connectOptions(command).action(async (layers: string[], options: MoveOptions) => {
    const { replace = false, requireSignature = false } = options;
    await move(options, context, (remote, how) => remote.pull(layers, { ...how, replace, requireSignature }));
  });
}

export function defineSync(program: Command, context: CliContext): void {
  const command = program.command("sync").addOption(jsonOption("print what became of each layer as JSON"));
  connectOptions(command).action(async (options: MoveOptions) => {
    const moved = await move(options, context, (remote, how) => remote.sync(how));
    const conflicts = moved.filter(({ outcome }) => outcome === "conflict").map(({ name }) => name);
    if (conflicts.length === 0) return;
    throw new PlyboxError(
      "layer/exists",
      `other content has the name there: ${conflicts.join(", ")}; push or pull --replace decides`,
    );
  });
}

async function move(
  options: LayerOptions,
  context: CliContext,
  ask: (remote: RemoteStore, how: RemoteOptions) => Promise<Moved>,
): Promise<Moved> {
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) =>
    abort.abort(new PlyboxError("aborted", `interrupted by ${signal}`)),
  );
  try {
    const moved = await moving(options, context, ask, abort.signal);
    if (options.json) writeJson(context.stdout, { layers: moved });
    else
      for (const { name, bytes, outcome } of moved)
        context.stdout.write(`${name}   ${formatSize(bytes)}   ${outcome}\n`);
    return moved;
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
    return [];
  }
}

async function moving(
  options: LayerOptions,
  context: CliContext,
  ask: (remote: RemoteStore, how: RemoteOptions) => Promise<Moved>,
  signal: AbortSignal,
): Promise<Moved> {
  using line = new Progress(context.stderr, "asking the object storage");
  const onProgress = ({ step, layer, doneBytes, totalBytes }: RemoteProgress): void => {
    const doing = step === "push" ? "pushing" : "pulling";
    line.update(`${doing} ${layer}: ${formatSize(doneBytes)} of ${formatSize(totalBytes)}`);
    if (options.json !== true) line.reach(`${step} ${layer}`, `${doing} ${layer}: ${formatSize(totalBytes)}`);
  };
  const how = { signal, onProgress };
  return await withDaemonOrStore<Moved, Moved>(options, context, {
    daemon: ({ remote }) => ask(remote as RemoteStore, how),
    store: ({ remote }) => ask(remote, how),
  });
}
