import type { Command } from "commander";
import { Option } from "commander";
import type { SignalScope } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";

interface KillOptions extends ConnectOptions {
  readonly signal: string;
  readonly scope?: SignalScope;
}

export function defineKill(program: Command, context: CliContext): void {
  const command = program
    .command("kill")
    .argument("<sandbox>", "id or name")
    .argument("<exec...>", "ids of commands")
    .option("--signal <name>", "such as SIGKILL, KILL or int", signalName, "SIGTERM")
    .addOption(
      new Option("--scope <scope>", "the program, its process group, or all that it started (default: group)").choices([
        "process",
        "group",
        "all",
      ]),
    );
  connectOptions(command).action(async (ref: string, execs: string[], options: KillOptions) => {
    const { signal, scope } = options;
    const plybox = await connect(options, context);
    const sandbox = await plybox.get(ref);
    for (const exec of execs) await sandbox.killExec(exec, signal, { ...(scope !== undefined && { scope }) });
  });
}

/** As the kernel writes it, whatever was left out. */
function signalName(text: string): string {
  const name = text.toUpperCase();
  return name.startsWith("SIG") ? name : `SIG${name}`;
}
