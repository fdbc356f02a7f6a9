import type { Command } from "commander";
import type { ListOptions, SandboxView } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, repeated } from "../options.ts";
import { formatAge } from "../render/age.ts";
import { writeJson } from "../render/json.ts";
import { stateCell } from "../render/state.ts";
import type { Paint } from "../render/style.ts";
import { paintFor } from "../render/style.ts";
import { renderTable } from "../render/table.ts";
import { parseWantedLabel } from "../values/label.ts";
import { oneOf } from "../values/one-of.ts";
import { formatSize } from "../values/size.ts";

interface LsOptions extends ConnectOptions {
  readonly json?: true;
  readonly quiet?: true;
  readonly label?: readonly (readonly [key: string, value: string | true])[];
  readonly state?: readonly State[];
  readonly name?: readonly string[];
}

type State = SandboxView["state"]["kind"];
const STATES: readonly State[] = ["creating", "starting", "running", "paused", "stopping", "stopped", "failed", "lost"];

export function defineLs(program: Command, context: CliContext): void {
  const command = program
    .command("ls")
    .option("-q, --quiet", "print ids alone")
    .addOption(repeated("--label <key[=value]>", "only those with this label", parseWantedLabel))
    .addOption(repeated("--state <state>", "only those in this state", oneOf(STATES)))
    .addOption(repeated("--name <name>", "only those called so; NAME* for a beginning", String))
    .addOption(jsonOption("print the sandboxes as JSON"));
  connectOptions(command).action(async (options: LsOptions) => {
    const plybox = await connect(options, context);
    const views = (await plybox.list(filterOf(options))).map(({ view }) => view);
    const { stdout } = context;
    if (options.json) writeJson(stdout, views);
    else if (options.quiet) stdout.write(views.map(({ id }) => `${id}\n`).join(""));
    else stdout.write(sandboxTable(views, context.now(), paintFor(context, stdout)));
  });
}

function filterOf({ label, state, name }: LsOptions): ListOptions {
  return {
    ...(label !== undefined && { labels: Object.fromEntries(label) }),
    ...(state !== undefined && { state }),
    ...(name !== undefined && { name }),
  };
}

export function sandboxTable(views: readonly SandboxView[], now: Date, paint: Paint): string {
  const rows = views.map(({ id, name, state, createdAt, layers, limits }) => [
    name ?? "-",
    id,
    stateCell(state),
    formatAge(new Date(createdAt), now),
    limits.memoryBytes === null ? "-" : formatSize(limits.memoryBytes),
    layers.join(" "),
  ]);
  const columns = [
    { title: "NAME" },
    { title: "ID" },
    { title: "STATE" },
    { title: "AGE", align: "right" },
    { title: "MEMORY", align: "right" },
    { title: "LAYERS" },
  ] as const;
  return renderTable(columns, rows, paint);
}
