import type { Command } from "commander";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { paintFor } from "../render/style.ts";
import { renderTable } from "../render/table.ts";
import { parseDuration } from "../values/duration.ts";
import { parsePort } from "../values/port.ts";

interface PortsOptions extends ConnectOptions {
  readonly wait?: number;
  readonly timeout?: number;
  readonly json?: true;
}

const COLUMNS = [{ title: "PORT", align: "right" }, { title: "ADDRESSES" }] as const;

export function definePorts(program: Command, context: CliContext): void {
  const command = program
    .command("ports")
    .argument("<sandbox>", "id or name")
    .addOption(parsed("--wait <port>", "wait until something listens on this port", parsePort))
    .addOption(parsed("--timeout <time>", "how long to wait (default: 30s)", parseDuration))
    .addOption(jsonOption("print the ports as JSON"));
  connectOptions(command).action(async (ref: string, options: PortsOptions) => {
    const { wait, timeout } = options;
    const { stdout } = context;
    const { ports } = await (await connect(options, context)).get(ref);
    if (wait !== undefined) await ports.waitFor(wait, { ...(timeout !== undefined && { timeoutMs: timeout }) });
    const listening = await ports.list();
    if (options.json) writeJson(stdout, listening);
    else {
      const rows = listening.map(({ port, addresses }) => [String(port), addresses.join(" ")]);
      stdout.write(renderTable(COLUMNS, rows, paintFor(context, stdout)));
    }
  });
}
