import { figure } from "./report.ts";
import { summarize } from "./statistics.ts";

interface Launched {
  readonly msg: "launched";
  /** `NAME:MICROSECONDS`, with spaces between. */
  readonly steps: string;
}

/** Where the launcher's time goes: a line a step, in the order in which they are taken, of what the daemon's log says. */
export function stepTable(log: string): string[] {
  const times = new Map<string, number[]>();
  for (const { steps } of log.split("\n").flatMap(launched)) {
    for (const [, name = "", us] of steps.matchAll(/(\S+):(\S+)/g)) {
      times.set(name, [...(times.get(name) ?? []), Number(us)]);
    }
  }
  if (times.size === 0) return ["the daemon's log has no steps of a launch"];
  const rows = [...times].map(([name, samples]) => ({ name, ...summarize(samples) }));
  const width = Math.max(...rows.map(({ name }) => name.length), "all steps".length);
  const line = (name: string, cells: readonly string[]) =>
    `${name.padEnd(width)}${cells.map((cell) => cell.padStart(9)).join("")}`;
  const total = rows.reduce((sum, { p50 }) => sum + p50, 0);
  return [
    line("step", ["n", "p50 µs", "p90", "p99"]),
    ...rows.map(({ name, count, p50, p90, p99 }) => line(name, [String(count), ...[p50, p90, p99].map(figure)])),
    line("all steps", ["", figure(total)]),
  ];
}

function launched(line: string): Launched[] {
  if (!line.includes('"launched"')) return [];
  const entry = JSON.parse(line) as Launched;
  return entry.msg === "launched" ? [entry] : [];
}
