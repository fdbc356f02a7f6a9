import type { Command } from "commander";
import type { AuditList } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed } from "../options.ts";
import { writeJson } from "../render/json.ts";
import type { Paint } from "../render/style.ts";
import { paintFor } from "../render/style.ts";
import { renderTable } from "../render/table.ts";
import { parseCount } from "../values/numbers.ts";

type Entry = AuditList["entries"][number];

interface AuditOptions extends ConnectOptions {
  readonly limit?: number;
  readonly before?: number;
  readonly tenant?: string;
  readonly sandbox?: string;
  readonly json?: true;
}

export function defineAudit(program: Command, context: CliContext): void {
  const command = program
    .command("audit")
    .description("Show the requests that changed something, or were to; newest first.")
    .addOption(parsed("-n, --limit <count>", "at most so many (default: 100)", parseCount))
    .addOption(parsed("--before <id>", "those older than the one of this id", parseCount))
    .option("--tenant <name>", "of this tenant alone")
    .option("--sandbox <name>", "about this sandbox alone: a name, or the id of one that is gone")
    .addOption(jsonOption("print the entries as JSON"));
  connectOptions(command).action(async ({ limit, before, tenant, sandbox, json, ...options }: AuditOptions) => {
    const plybox = await connect(options, context);
    const id = sandbox === undefined || sandbox.startsWith("sb_") ? sandbox : (await plybox.get(sandbox)).id;
    const entries = await plybox.audit({
      ...(limit !== undefined && { limit }),
      ...(before !== undefined && { before }),
      ...(tenant !== undefined && { tenant }),
      ...(id !== undefined && { sandbox: id }),
    });
    if (json) writeJson(context.stdout, entries);
    else context.stdout.write(auditTable(entries, paintFor(context, context.stdout)));
  });
}

function auditTable(entries: readonly Entry[], paint: Paint): string {
  const rows = entries.map((entry) => [
    String(entry.id),
    entry.at,
    entry.tenant ?? "-",
    entry.by ?? "-",
    entry.action,
    entry.from === null ? (entry.sandbox ?? "-") : `${entry.sandbox} from ${entry.from}`,
    entry.code === null ? String(entry.status) : ({ text: `${entry.status} ${entry.code}`, style: "red" } as const),
  ]);
  const columns = ["ID", "AT", "TENANT", "BY", "ACTION", "SANDBOX", "RESULT"].map((title) => ({ title }));
  return renderTable(columns, rows, paint);
}
