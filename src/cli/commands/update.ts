import type { Command } from "commander";
import { Option } from "commander";
import { PlyboxError } from "../../model/errors.ts";
import { parseSandboxName } from "../../model/ids.ts";
import type { OnExpire } from "../../model/sandbox.ts";
import type { ChangeOptions } from "../change-each.ts";
import { changeEach } from "../change-each.ts";
import { connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed } from "../options.ts";
import { parseDuration } from "../values/duration.ts";

interface UpdateOptions extends ChangeOptions {
  /** False for `--no-name`, and so on. */
  readonly name?: string | false;
  readonly lifetime?: number | false;
  readonly idleTimeout?: number | false;
  readonly idleCountsCommands?: boolean;
  readonly onExpire?: OnExpire;
  readonly resumeOnDemand?: boolean;
}

export function defineUpdate(program: Command, context: CliContext): void {
  const command = program
    .command("update")
    .argument("<sandbox>", "id or name")
    .addOption(parsed("--name <name>", "call it so", (text) => parseSandboxName(text)))
    .option("--no-name", "take its name away")
    .addOption(parsed("--lifetime <time>", "how long it may live from now on, such as 2h", parseDuration))
    .option("--no-lifetime", "let it live without end")
    .addOption(parsed("--idle-timeout <time>", "how long nothing may be done in it, such as 10m", parseDuration))
    .option("--no-idle-timeout", "let it be idle without end")
    .option("--idle-counts-commands", "a command that runs keeps it from being idle")
    .option("--no-idle-counts-commands", "only what somebody follows keeps it from being idle")
    .addOption(new Option("--on-expire <what>", "what its end in time is").choices(["destroy", "stop"]))
    .option("--resume-on-demand", "when it is paused, whatever is asked of it resumes it")
    .option("--no-resume-on-demand", "when it is paused, it stays so until it is resumed")
    .addOption(jsonOption("print the sandbox as JSON"));
  connectOptions(command).action(async (ref: string, options: UpdateOptions) => {
    const changes = changesOf(options, command);
    if (Object.keys(changes).length === 0) throw new PlyboxError("input/invalid", "say what is to change");
    await changeEach([ref], options, context, (sandbox) => sandbox.update(changes));
  });
}

function changesOf(options: UpdateOptions, command: Command) {
  const { name, lifetime, idleTimeout, idleCountsCommands, onExpire, resumeOnDemand } = options;
  // An option with a `--no-` form is true where neither was given.
  const given = (option: string): boolean => command.getOptionValueSource(option) === "cli";
  return {
    ...(given("name") && name !== undefined && { name: name || null }),
    ...(given("lifetime") && lifetime !== undefined && { lifetimeMs: lifetime || null }),
    ...(given("idleTimeout") && idleTimeout !== undefined && { idleMs: idleTimeout || null }),
    ...(given("idleCountsCommands") && idleCountsCommands !== undefined && { idleCountsCommands }),
    ...(onExpire !== undefined && { onExpire }),
    ...(given("resumeOnDemand") && resumeOnDemand !== undefined && { resumeOnDemand }),
  };
}
