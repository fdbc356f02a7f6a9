import type { Command } from "commander";
import type { ExecSummary, SandboxView } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption } from "../options.ts";
import { formatAge } from "../render/age.ts";
import { writeJson } from "../render/json.ts";
import { describeLife } from "../render/life.ts";
import { describeState } from "../render/state.ts";
import type { Paint } from "../render/style.ts";
import { paintFor } from "../render/style.ts";
import { renderPairs, renderTable } from "../render/table.ts";
import { formatSize } from "../values/size.ts";

interface InfoOptions extends ConnectOptions {
  readonly json?: true;
}

export function defineInfo(program: Command, context: CliContext): void {
  const command = program
    .command("info")
    .argument("<sandbox>", "id or name")
    .addOption(jsonOption("print the sandbox and its commands as JSON"));
  connectOptions(command).action(async (ref: string, options: InfoOptions) => {
    const plybox = await connect(options, context);
    const sandbox = await plybox.get(ref);
    const execs = sandbox.view.state.kind === "running" ? await sandbox.execs() : [];
    if (options.json) writeJson(context.stdout, { ...sandbox.view, execs });
    else context.stdout.write(describeSandbox(sandbox.view, execs, context));
  });
}

function describeSandbox(view: SandboxView, execs: readonly ExecSummary[], context: CliContext): string {
  const paint = paintFor(context, context.stdout);
  const pairs = renderPairs(
    [
      ["Id", view.id],
      ["Name", view.name ?? "-"],
      ["State", describeState(view.state)],
      ["Created", `${view.createdAt} (${formatAge(new Date(view.createdAt), context.now())} ago)`],
      ["Layers", view.layers.join(" ")],
      ["Upper", describeUpper(view.upper)],
      ...describeLimits(view.limits),
      ["Hostname", view.hostname],
      // Values may be secrets; --json shows them.
      ["Environment", Object.keys(view.env).join(" ") || "-"],
      ...(view.cwd === null ? [] : [["Directory", view.cwd] as [string, string]]),
      ...(view.user === null ? [] : [["User", view.user] as [string, string]]),
      ...describeLife(view),
    ],
    paint,
  );
  return execs.length === 0 ? pairs : `${pairs}\n${commandTable(execs, paint)}`;
}

/** What nothing bounds is `-`. */
function describeLimits(limits: SandboxView["limits"]): [string, string][] {
  const { memoryBytes, pids, cpus, cpuWeight, openFiles, fileSizeBytes } = limits;
  return [
    ["Memory", memoryBytes === null ? "-" : formatSize(memoryBytes)],
    ["Cores", cpus === null ? "-" : `${cpus}, weight ${cpuWeight}`],
    ["Processes", pids === null ? "-" : String(pids)],
    ["Open files", `${openFiles} a process`],
    ["File size", fileSizeBytes === null ? "-" : formatSize(fileSizeBytes)],
  ];
}

function describeUpper({ kind, bytes, inodes }: SandboxView["upper"]): string {
  const most = [
    ...(bytes === undefined ? [] : [formatSize(bytes)]),
    ...(inodes === undefined ? [] : [`${inodes} inodes`]),
  ];
  return most.length === 0 ? kind : `${kind}, at most ${most.join(" and ")}`;
}

function commandTable(execs: readonly ExecSummary[], paint: Paint): string {
  const rows = execs.map(({ exec, pid, running, stdoutBytes, stderrBytes }) => [
    exec,
    String(pid ?? "-"),
    running ? ({ text: "running", style: "green" } as const) : "ended",
    formatSize(stdoutBytes ?? 0),
    formatSize(stderrBytes ?? 0),
  ]);
  const columns = [
    { title: "COMMAND" },
    { title: "PID", align: "right" },
    { title: "STATE" },
    { title: "STDOUT", align: "right" },
    { title: "STDERR", align: "right" },
  ] as const;
  return renderTable(columns, rows, paint);
}
