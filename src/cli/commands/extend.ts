import type { Command } from "commander";
import type { ChangeOptions } from "../change-each.ts";
import { changeEach } from "../change-each.ts";
import { connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption } from "../options.ts";
import { parseDuration } from "../values/duration.ts";

export function defineExtend(program: Command, context: CliContext): void {
  const command = program
    .command("extend")
    .argument("<sandbox>", "id or name")
    .argument("<time>", "how long it may live from now on, such as 2h")
    .addOption(jsonOption("print the sandbox as JSON"));
  connectOptions(command).action(async (ref: string, time: string, options: ChangeOptions) => {
    const lifetimeMs = parseDuration(time);
    await changeEach([ref], options, context, (sandbox) => sandbox.extend(lifetimeMs));
  });
}
