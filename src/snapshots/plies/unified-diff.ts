/** Beyond so many lines that were added and removed, the rest is shown as one replacement: the work grows with their square. */
const MOST_EDITS = 1000;

interface UnifiedOptions {
  /** As the head shows them. */
  readonly names: readonly [before: string, after: string];
  readonly contextLines: number;
}

/** One line of the comparison: kept, or of one side alone. */
interface Line {
  readonly sign: " " | "-" | "+";
  readonly text: string;
}

/** What `diff -u` tells of two texts; "" where they are the same. */
export function unifiedDiff(before: string, after: string, { names, contextLines }: UnifiedOptions): string {
  const lines = compareLines(linesOf(before), linesOf(after));
  const hunks = hunksOf(lines, contextLines);
  if (hunks.length === 0) return "";
  return `--- ${names[0]}\n+++ ${names[1]}\n${hunks.join("")}`;
}

/** Each with its newline, which the last one may lack. */
const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

function compareLines(before: readonly string[], after: readonly string[]): Line[] {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  const kept = (lines: readonly string[]): Line[] => lines.map((text) => ({ sign: " ", text }));
  const middle = shortestEdit(before.slice(start, before.length - end), after.slice(start, after.length - end));
  return [...kept(before.slice(0, start)), ...middle, ...kept(before.slice(before.length - end))];
}

/** How far down each diagonal got: as many rows as the text before has lines, of which those above are done. */
class Reach {
  readonly #rows: Int32Array;
  readonly #widest: number;

  constructor(widest: number, rows = new Int32Array(2 * widest + 3)) {
    this.#widest = widest;
    this.#rows = rows;
  }

  /** Whether `edits` edits lead to a diagonal by a line that was added. */
  isDown(diagonal: number, edits: number): boolean {
    return diagonal === -edits || (diagonal !== edits && this.row(diagonal - 1) < this.row(diagonal + 1));
  }

  row(diagonal: number): number {
    return this.#rows[diagonal + this.#widest + 1] ?? 0;
  }

  set(diagonal: number, row: number): void {
    this.#rows[diagonal + this.#widest + 1] = row;
  }

  /** As it is now, of the diagonals that so many edits look at. */
  kept(edits: number): Reach {
    const center = this.#widest + 1;
    return new Reach(edits, this.#rows.slice(center - edits - 1, center + edits + 2));
  }
}

/** Myers's greedy algorithm: for each number of edits, how far each diagonal gets. */
function shortestEdit(before: readonly string[], after: readonly string[]): Line[] {
  const [rows, columns] = [before.length, after.length];
  const most = Math.min(rows + columns, MOST_EDITS);
  const reach = new Reach(most);
  const trace: Reach[] = [];
  for (let edits = 0; edits <= most; edits++) {
    trace.push(reach.kept(edits));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let row = reach.isDown(diagonal, edits) ? reach.row(diagonal + 1) : reach.row(diagonal - 1) + 1;
      while (row < rows && row - diagonal < columns && before[row] === after[row - diagonal]) row++;
      reach.set(diagonal, row);
      if (row >= rows && row - diagonal >= columns) return backtrack(before, after, trace);
    }
  }
  const removed = before.map((text): Line => ({ sign: "-", text }));
  return [...removed, ...after.map((text): Line => ({ sign: "+", text }))];
}

function backtrack(before: readonly string[], after: readonly string[], trace: readonly Reach[]): Line[] {
  const lines: Line[] = [];
  let [row, column] = [before.length, after.length];
  for (const [edits, reach] of [...trace.entries()].reverse()) {
    const diagonal = row - column;
    const from = diagonal + (reach.isDown(diagonal, edits) ? 1 : -1);
    const fromRow = edits === 0 ? 0 : reach.row(from);
    const fromColumn = edits === 0 ? 0 : fromRow - from;
    for (; row > fromRow && column > fromColumn; row--, column--)
      lines.push({ sign: " ", text: before[row - 1] ?? "" });
    if (edits === 0) break;
    if (row === fromRow) lines.push({ sign: "+", text: after[--column] ?? "" });
    else lines.push({ sign: "-", text: before[--row] ?? "" });
  }
  return lines.reverse();
}

function hunksOf(lines: readonly Line[], contextLines: number): string[] {
  const hunks: string[] = [];
  let [before, after] = [1, 1];
  for (let at = 0; at < lines.length; ) {
    let first = at;
    while (lines[first]?.sign === " ") first++;
    if (first === lines.length) break;
    const begin = Math.max(at, first - contextLines);
    let last = first;
    for (let i = first; i < lines.length && i <= last + 2 * contextLines + 1; i++) {
      if (lines[i]?.sign !== " ") last = i;
    }
    const end = Math.min(lines.length, last + contextLines + 1);
    before += begin - at;
    after += begin - at;
    const shown = lines.slice(begin, end);
    const [removed, added] = [countOf(shown, "+"), countOf(shown, "-")].map((other) => shown.length - other);
    hunks.push(`@@ -${range(before, removed ?? 0)} +${range(after, added ?? 0)} @@\n${shown.map(print).join("")}`);
    before += removed ?? 0;
    after += added ?? 0;
    at = end;
  }
  return hunks;
}

const countOf = (lines: readonly Line[], sign: Line["sign"]): number =>
  lines.filter((line) => line.sign === sign).length;

/** Of no lines, the line before them is named. */
const range = (start: number, count: number): string =>
  count === 1 ? `${start}` : `${count === 0 ? start - 1 : start},${count}`;

const print = ({ sign, text }: Line): string =>
  text.endsWith("\n") ? sign + text : `${sign}${text}\n\\ No newline at end of file\n`;
