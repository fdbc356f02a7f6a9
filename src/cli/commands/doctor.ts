import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { jsonOption } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { Progress } from "../render/progress.ts";
import type { Style } from "../render/style.ts";
import { paintFor } from "../render/style.ts";
import { renderTable } from "../render/table.ts";

/** What one check found. */
interface Finding {
  readonly name: string;
  readonly status: "ok" | "warn" | "missing";
  /** Whether the native backend cannot run without it. */
  readonly required: boolean;
  readonly detail: string;
  /** The command, or the step, that mends it. */
  readonly remedy?: string;
}

const STYLES: Readonly<Record<Finding["status"], Style>> = { ok: "green", warn: "yellow", missing: "red" };

export function defineDoctor(program: Command, context: CliContext): void {
  program
    .command("doctor")
    .addOption(jsonOption("print the findings as JSON"))
    .action(async (options: { readonly json?: true }) => {
      const findings = await examine(context);
      const blocking = findings.filter(({ status, required }) => required && status === "missing");
      context.exitCode = blocking.length === 0 ? 0 : 1;
      if (options.json) return writeJson(context.stdout, { ok: blocking.length === 0, checks: findings });
      context.stdout.write(report(findings, blocking, context));
    });
}

async function examine(context: CliContext): Promise<readonly Finding[]> {
  using _progress = new Progress(context.stderr, "looking at this machine");
  const [{ loadConfig }, { probeHost }] = await Promise.all([
    import("../../daemon/config.ts"),
    import("../../daemon/probe-host.ts"),
  ]);
  return await probeHost(loadConfig(context.env));
}

function report(findings: readonly Finding[], blocking: readonly Finding[], context: CliContext): string {
  const paint = paintFor(context, context.stdout);
  const rows = findings.map(({ name, status, detail }) => [{ text: status, style: STYLES[status] }, name, detail]);
  const table = renderTable([{ title: "STATUS" }, { title: "CHECK" }, { title: "FOUND" }], rows, paint);
  const remedies = findings.flatMap(({ name, remedy }) => (remedy === undefined ? [] : [`  ${name}: ${remedy}\n`]));
  const mend = remedies.length === 0 ? "" : `\n${paint("bold", "To mend:")}\n${remedies.join("")}`;
  const verdict =
    blocking.length === 0
      ? paint("green", "The native backend can run here.")
      : paint("red", `The native backend cannot run here: ${blocking.map(({ name }) => name).join(", ")}.`);
  return `${table}${mend}\n${verdict}\n`;
}
