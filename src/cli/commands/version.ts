import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { isCoded } from "../fail.ts";
import { jsonOption } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { paintFor } from "../render/style.ts";
import { renderPairs } from "../render/table.ts";

interface VersionOptions extends ConnectOptions {
  readonly json?: true;
}

export function defineVersion(program: Command, context: CliContext): void {
  const command = program.command("version").addOption(jsonOption("print the versions as JSON"));
  connectOptions(command).action(async (options: VersionOptions) => {
    const daemon = await daemonVersion(options, context);
    const versions = { plybox: ownVersion(), daemon, node: process.versions.node };
    if (options.json) return writeJson(context.stdout, versions);
    const pairs = [
      ["plybox", versions.plybox],
      ["daemon", daemon ?? "not running"],
      ["node", versions.node],
    ] as const;
    context.stdout.write(renderPairs(pairs, paintFor(context, context.stdout)));
  });
}

/** The version of this package; two folders up from here in dist/ as in src/. */
function ownVersion(): string {
  const file = new URL("../../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

/** Null where no daemon answers. */
async function daemonVersion(options: ConnectOptions, context: CliContext): Promise<string | null> {
  const plybox = await connect(options, context);
  try {
    return (await plybox.version()).version;
  } catch (error) {
    if (isCoded(error) && error.code === "daemon/unreachable") return null;
    throw error;
  }
}
