import type { Command } from "commander";
import { Option } from "commander";
import type { CreateOptions as CreateSpec } from "../../client/index.ts";
import { parseSandboxName } from "../../model/ids.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import type { LifecycleOptions } from "../lifecycle-options.ts";
import { lifecycleOptions, lifecycleSpecOf } from "../lifecycle-options.ts";
import type { SandboxOptions } from "../options.ts";
import { environmentOf, jsonOption, parsed, sandboxOptions, sandboxSpecOf, variablesOption } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { Progress } from "../render/progress.ts";
import { warn } from "../render/warn.ts";
import { parseCount } from "../values/numbers.ts";

interface CreateOptions extends ConnectOptions, SandboxOptions, LifecycleOptions {
  readonly env?: readonly (readonly [name: string, value: string])[];
  readonly hostname?: string;
  readonly restore?: string;
  readonly snapshots?: true;
  readonly checkpoint?: "per-exec";
  readonly keepCheckpoints?: number;
  readonly json?: true;
}

export function defineCreate(program: Command, context: CliContext): void {
  const command = program.command("create").argument("[name]", "a name to find it by: a-z, 0-9 and -");
  lifecycleOptions(sandboxOptions(command))
    .addOption(variablesOption(context.env))
    .option("--hostname <name>", "host name inside (default: the sandbox's name)")
    .option("--restore <sandbox>", "begin with what a sandbox of any host had written, by the object storage")
    .option("--snapshots", "copy the upper on write, so that it can be checkpointed and forked at any time")
    .addOption(new Option("--checkpoint <when>", "make checkpoints unasked; implies --snapshots").choices(["per-exec"]))
    .addOption(parsed("--keep-checkpoints <count>", "how many of those are kept (default: 256)", parseCount))
    .addOption(jsonOption("print the sandbox as JSON"));
  connectOptions(command).action(async (name: string | undefined, options: CreateOptions) => {
    await create(name, options, context);
  });
}

async function create(name: string | undefined, options: CreateOptions, context: CliContext): Promise<void> {
  const spec = {
    ...(name !== undefined && { name: parseSandboxName(name, "name") }),
    ...sandboxSpecOf(options),
    ...snapshotsOf(options),
    ...lifecycleSpecOf(options),
    ...environmentOf(options.env),
    ...(options.restore !== undefined && { restore: options.restore }),
    ...(options.hostname !== undefined && { hostname: options.hostname }),
  };
  const plybox = await connect(options, context);
  using _progress = new Progress(context.stderr, "creating");
  const sandbox = await plybox.create(spec);
  warn(context, sandbox.view.warnings);
  if (options.json) writeJson(context.stdout, sandbox.view);
  else context.stdout.write(`${sandbox.name ?? sandbox.id}\n`);
}

function snapshotsOf(options: CreateOptions): Pick<CreateSpec, "upper" | "checkpoint" | "keepCheckpoints"> {
  const { snapshots, checkpoint, keepCheckpoints } = options;
  if (snapshots === undefined && checkpoint === undefined && keepCheckpoints === undefined) return {};
  const { upper = { kind: "tmpfs" } } = sandboxSpecOf(options);
  return {
    upper: { ...upper, snapshots: true },
    ...(checkpoint !== undefined && { checkpoint }),
    ...(keepCheckpoints !== undefined && { keepCheckpoints }),
  };
}
