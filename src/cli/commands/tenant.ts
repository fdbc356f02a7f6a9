import type { Command } from "commander";
import type { TenantView } from "../../client/index.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed } from "../options.ts";
import { writeJson } from "../render/json.ts";
import type { Paint } from "../render/style.ts";
import { paintFor } from "../render/style.ts";
import { renderTable } from "../render/table.ts";
import { parseCores, parseCount } from "../values/numbers.ts";
import { parseRate } from "../values/rate.ts";
import { formatSize, parseSize } from "../values/size.ts";

type Quotas = TenantView["quotas"];

type Rate = NonNullable<Quotas["requests"]>;
/** Takes a quota away; the options' parser would make an empty text of null. */
type None = "none";

interface SetOptions extends ConnectOptions {
  readonly sandboxes?: number | None;
  readonly cpus?: number | None;
  readonly memory?: number | None;
  readonly disk?: number | None;
  readonly requestRate?: Rate | None;
  readonly execRate?: Rate | None;
  readonly json?: true;
}

export function defineTenant(program: Command, context: CliContext): void {
  const tenant = program.command("tenant");
  defineSet(tenant, context);
  defineLs(tenant, context);
}

function defineSet(tenant: Command, context: CliContext): void {
  const command = tenant
    .command("set")
    .summary("set quotas of a tenant")
    .description(
      "Set what the sandboxes of a tenant may take together. What is not named stays; none takes a quota away.",
    )
    .argument("<name>", "the tenant")
    .addOption(parsed("--sandboxes <count>", "sandboxes at once", orNone(parseCount)))
    .addOption(parsed("--cpus <cores>", "cores of all sandboxes", orNone(parseCores)))
    .addOption(parsed("--memory <size>", "memory limits of all sandboxes, such as 16G", orNone(parseSize)))
    .addOption(parsed("--disk <size>", "sizes of all writable layers, such as 50G", orNone(parseSize)))
    .addOption(
      parsed(
        "--request-rate <rate>",
        "API requests, such as 600/m or 600/m:50 (at most 50 at once)",
        orNone(parseRate),
      ),
    )
    .addOption(parsed("--exec-rate <rate>", "commands started, such as 120/m", orNone(parseRate)))
    .addOption(jsonOption("print the quotas as JSON"));
  connectOptions(command).action(async (name: string, options: SetOptions) => {
    const quotas = quotasOf(options);
    if (Object.keys(quotas).length === 0) throw new PlyboxError("input/invalid", "name a quota to set; see --help");
    const plybox = await connect(options, context);
    show([await plybox.tenants.set(name, quotas)], options, context);
  });
}

function defineLs(tenant: Command, context: CliContext): void {
  const command = tenant
    .command("ls")
    .summary("show the quotas of tenants")
    .addOption(jsonOption("print the tenants as JSON"));
  connectOptions(command).action(async (options: ConnectOptions & { readonly json?: true }) => {
    show(await (await connect(options, context)).tenants.list(), options, context);
  });
}

function quotasOf({ sandboxes, cpus, memory, disk, requestRate, execRate }: SetOptions): Partial<Quotas> {
  return {
    ...(sandboxes !== undefined && { sandboxes: orNull(sandboxes) }),
    ...(cpus !== undefined && { cpus: orNull(cpus) }),
    ...(memory !== undefined && { memoryBytes: orNull(memory) }),
    ...(disk !== undefined && { diskBytes: orNull(disk) }),
    ...(requestRate !== undefined && { requests: orNull(requestRate) }),
    ...(execRate !== undefined && { execs: orNull(execRate) }),
  };
}

const orNull = <T>(value: T | None): T | null => (value === "none" ? null : value);

const orNone =
  <T>(parse: (text: string) => T) =>
  (text: string): T | None =>
    text === "none" ? text : parse(text);

function show(tenants: readonly TenantView[], { json }: { json?: true }, context: CliContext): void {
  if (json) writeJson(context.stdout, tenants);
  else context.stdout.write(tenantTable(tenants, paintFor(context, context.stdout)));
}

function tenantTable(tenants: readonly TenantView[], paint: Paint): string {
  const rows = tenants.map(({ name, quotas }) => [
    name,
    amount(quotas.sandboxes, String),
    amount(quotas.cpus, String),
    amount(quotas.memoryBytes, formatSize),
    amount(quotas.diskBytes, formatSize),
    amount(quotas.requests, rate),
    amount(quotas.execs, rate),
  ]);
  const columns = ["NAME", "SANDBOXES", "CPUS", "MEMORY", "DISK", "REQUESTS", "EXECS"].map((title) => ({ title }));
  return renderTable(columns, rows, paint);
}

const amount = <T>(value: T | null, format: (value: T) => string): string => (value === null ? "-" : format(value));
const rate = ({ perMinute, burst }: Rate): string => `${perMinute}/m:${burst}`;
