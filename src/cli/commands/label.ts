import type { Command } from "commander";
import type { ChangeOptions } from "../change-each.ts";
import { changeEach } from "../change-each.ts";
import { connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption } from "../options.ts";
import { parseLabelChange } from "../values/label.ts";

export function defineLabel(program: Command, context: CliContext): void {
  const command = program
    .command("label")
    .argument("<sandbox>", "id or name")
    .argument("<change...>", "key=value sets a label, key- takes one away")
    .addOption(jsonOption("print the sandbox as JSON"));
  connectOptions(command).action(async (ref: string, changes: string[], options: ChangeOptions) => {
    const labels = Object.fromEntries(changes.map(parseLabelChange));
    await changeEach([ref], options, context, (sandbox) => sandbox.update({ labels }));
  });
}
