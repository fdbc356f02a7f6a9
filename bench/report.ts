import type { Benchmark, BenchmarkName } from "./benchmark.ts";
import { summarize } from "./statistics.ts";

/** One element of what `--json` writes; bench/README.md describes it. */
export interface Row {
  readonly name: BenchmarkName;
  readonly unit: string;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  /** Null, and so the two below, where the reference cannot run on this machine. */
  readonly reference: string | null;
  readonly referenceP50: number | null;
  /** Ours divided by the reference's, both p50. */
  readonly ratio: number | null;
}

export function toRow({ name, unit, ours, references: [main] }: Benchmark): Row {
  const { p50, p90, p99 } = summarize(ours);
  if (main === undefined || "reason" in main) {
    return { name, unit, p50, p90, p99, reference: null, referenceP50: null, ratio: null };
  }
  const referenceP50 = summarize(main.samples).p50;
  return { name, unit, p50, p90, p99, reference: main.name, referenceP50, ratio: p50 / referenceP50 };
}

/** A table for people: ours first, each reference below it with what ours is in terms of it. */
export function formatBenchmark({ name, unit, method, ours, references, notes }: Benchmark): string {
  const own = summarize(ours);
  const lines = [["", "n", `p50 ${unit}`, "p90", "p99", "plybox is"], tableRow("plybox", ours, "")];
  for (const reference of references) {
    if ("reason" in reference) lines.push([reference.name, "", reference.reason]);
    else lines.push(tableRow(reference.name, reference.samples, ratio(own.p50, summarize(reference.samples).p50)));
  }
  return [`${name}: ${method}`, ...align(lines), ...notes.map((note) => `  ${note}`)].join("\n");
}

function tableRow(name: string, samples: readonly number[], comparison: string): string[] {
  const { count, p50, p90, p99 } = summarize(samples);
  return [name, String(count), figure(p50), figure(p90), figure(p99), comparison];
}

const ratio = (ours: number, reference: number): string => `${figure(ours / reference)} ×`;

/** Three digits that count, and never an exponent. */
export function figure(value: number): string {
  const digits = Math.min(3, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1))));
  return value.toFixed(digits);
}

/** The first column to the left, figures to the right; a row that ends early has text in its last cell. */
function align(rows: readonly (readonly string[])[]): string[] {
  const whole = rows.filter((row) => row.length === rows[0]?.length);
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...(column === 0 ? rows : whole).map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) => {
    const isText = row.length < widths.length;
    const cells = row.map((cell, column) => {
      if (column === 0) return cell.padEnd(widths[column] ?? 0);
      return isText && column === row.length - 1 ? cell : cell.padStart(widths[column] ?? 0);
    });
    return `  ${cells.join("  ")}`.trimEnd();
  });
}
