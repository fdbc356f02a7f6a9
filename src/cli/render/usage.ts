import type { Processes, Usage } from "../../client/index.ts";
import { formatSize } from "../values/size.ts";
import type { Paint } from "./style.ts";
import { renderTable } from "./table.ts";

const right = (title: string) => ({ title, align: "right" }) as const;
const COLUMNS = [
  { title: "NAME" },
  right("CPU"),
  right("MEMORY"),
  right("LIMIT"),
  right("PEAK"),
  right("PIDS"),
  right("UPPER"),
  right("NETWORK IN"),
  right("OUT"),
  right("OOM"),
] as const;

/** A line a sandbox; what is not known is `-`. */
export function usageTable(usages: readonly Usage[], paint: Paint): string {
  const rows = usages.map((usage) => [
    usage.name ?? usage.sandbox,
    percent(usage.cores),
    size(usage.memoryBytes),
    size(usage.limits.memoryBytes),
    size(usage.memoryPeakBytes),
    usage.pids === null ? "-" : `${usage.pids}`,
    size(usage.upperBytes),
    size(usage.network?.receivedBytes ?? null),
    size(usage.network?.sentBytes ?? null),
    usage.oomKills === null ? "-" : `${usage.oomKills}`,
  ]);
  return renderTable(COLUMNS, rows, paint);
}

/** One process with the cores that it uses; null where it has been seen only once. */
export type ProcessLine = Processes["processes"][number] & { readonly cores: number | null };

export function processTable(processes: readonly ProcessLine[], paint: Paint): string {
  const columns = [
    right("PID"),
    { title: "USER" },
    right("CPU"),
    right("TIME"),
    right("RSS"),
    { title: "S" },
    { title: "COMMAND" },
  ];
  const rows = processes.map(({ pid, user, cores, cpuMs, rssBytes, state, command }) => [
    `${pid}`,
    user,
    percent(cores),
    `${(cpuMs / 1000).toFixed(2)}s`,
    formatSize(rssBytes),
    state,
    command,
  ]);
  return renderTable(columns, rows, paint);
}

/** Of one core, as `top` counts. */
const percent = (cores: number | null): string => (cores === null ? "-" : `${(cores * 100).toFixed(1)}%`);
const size = (bytes: number | null): string => (bytes === null ? "-" : formatSize(bytes));
