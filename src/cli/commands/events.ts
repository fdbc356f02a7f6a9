import type { Command } from "commander";
import type { EventItem, EventQuery, Plybox, SandboxEvent } from "../../client/index.ts";
import { jsonLine } from "../../model/printable.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import { jsonOption, parsed, repeated } from "../options.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import { parseCount } from "../values/numbers.ts";

interface EventsOptions extends ConnectOptions {
  readonly follow?: true;
  readonly type?: readonly string[];
  readonly sandbox?: string;
  readonly label?: readonly string[];
  readonly after?: number;
  readonly last?: number;
  readonly json?: true;
}

export function defineEvents(program: Command, context: CliContext): void {
  const command = program
    .command("events")
    .option("-f, --follow", "go on with what happens, until interrupted")
    .addOption(repeated("--type <type>", "only events of this type, such as exec.ended or exec.*", String))
    .addOption(repeated("--label <label>", "only sandboxes that had this label: KEY or KEY=VALUE", String))
    .option("--sandbox <sandbox>", "only what happens to this one; an id also of one that is gone")
    .addOption(parsed("--after <id>", "begin after the event of this id", parseId))
    .addOption(
      parsed("--last <count>", "begin with so many past events (default: 100; none with --follow)", parseCount),
    )
    .addOption(jsonOption("print each event as one line of JSON"));
  connectOptions(command).action(async (options: EventsOptions) => {
    const plybox = await connect(options, context);
    const query: EventQuery = {
      ...(options.type !== undefined && { types: options.type }),
      ...(options.label !== undefined && { labels: options.label }),
      ...(options.sandbox !== undefined && { sandbox: options.sandbox }),
    };
    const print = printer(options.json === true, context);
    if (options.follow) await follow(plybox, query, options, { context, print });
    else await printPast(plybox, query, options, print);
  });
}

const parseId = (text: string): number => (text === "0" ? 0 : parseCount(text));

type Print = (item: EventItem) => void;

/** Everything after an id, page by page, or the latest. */
async function printPast(plybox: Plybox, query: EventQuery, options: EventsOptions, print: Print): Promise<number> {
  const { after, last } = options;
  const limit = last === undefined ? {} : { limit: last };
  let page = await plybox.pastEvents({ ...query, ...(after === undefined ? limit : { after, limit: 1000 }) });
  for (;;) {
    for (const item of inOrder(page)) print(item);
    if (after === undefined || page.events.length < 1000) return page.next;
    page = await plybox.pastEvents({ ...query, after: page.next, limit: 1000 });
  }
}

function inOrder({ events, gaps }: Awaited<ReturnType<Plybox["pastEvents"]>>): readonly EventItem[] {
  const first = (item: EventItem): number => (item.type === "gap" ? item.from : item.id);
  return [...events, ...gaps.map((gap) => ({ type: "gap" as const, ...gap }))].sort((a, b) => first(a) - first(b));
}

async function follow(
  plybox: Plybox,
  query: EventQuery,
  options: EventsOptions,
  { context, print }: { readonly context: CliContext; readonly print: Print },
): Promise<void> {
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) => abort.abort(signal));
  try {
    const after = options.last === undefined ? options.after : await printPast(plybox, query, options, print);
    const { signal } = abort;
    for await (const item of plybox.events({ ...query, ...(after !== undefined && { after }), signal })) print(item);
  } catch (error) {
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  }
}

function printer(asJson: boolean, { stdout, stderr }: CliContext): Print {
  if (asJson) return (item) => void stdout.write(`${jsonLine(item)}\n`);
  return (item) => {
    if (item.type === "gap") stderr.write(`plybox: events ${item.from} to ${item.to} are not kept any more\n`);
    else stdout.write(`${lineOf(item)}\n`);
  };
}

/** `12 2026-01-01T12:00:00.000Z sb_… exec.ended exec=ex_… exitCode=0`; what is null is left out. */
function lineOf({ id, at, sandbox, type, data }: SandboxEvent): string {
  const details = Object.entries(data)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${wordOf(value)}`);
  return [id, at, sandbox ?? "-", type, ...details].join(" ");
}

/** What others named must neither end the line nor move the cursor. */
function wordOf(value: unknown): string {
  if (typeof value === "string" && /^[\w@%+=:,./-]+$/.test(value)) return value;
  return jsonLine(value);
}
