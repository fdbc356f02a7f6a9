import { masked } from "../../model/printable.ts";
import type { Paint, Style } from "./style.ts";

/** One cell: its text, and how it is shown where colours are on. */
export type Cell = string | { readonly text: string; readonly style: Style };

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

const GAP = "   ";

/** Lines of a table with aligned columns and a heading; the last column is not padded. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly Cell[])[], paint: Paint): string {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => shown(row[index] ?? "").length)),
  );
  const line = (cells: readonly Cell[]): string =>
    columns
      .map((column, index) => cellOf(cells[index] ?? "", column, widths[index] ?? 0, paint))
      .join(GAP)
      .trimEnd();
  const heading = columns.map(({ title }): Cell => ({ text: title, style: "bold" }));
  return [heading, ...rows].map((cells) => `${line(cells)}\n`).join("");
}

/** Lines of `name   value`, the names aligned. */
export function renderPairs(pairs: readonly (readonly [name: string, value: string])[], paint: Paint): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${paint("bold", name.padEnd(width))}${GAP}${shown(value)}\n`).join("");
}

function cellOf(cell: Cell, { align = "left" }: Column, width: number, paint: Paint): string {
  const text = shown(cell);
  const padding = " ".repeat(width - text.length);
  const painted = typeof cell === "string" ? text : paint(cell.style, text);
  return align === "right" ? padding + painted : painted + padding;
}

/** What others named must not move the cursor. */
const shown = (cell: Cell): string => masked(typeof cell === "string" ? cell : cell.text);
