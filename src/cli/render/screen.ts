import type { Output } from "../context.ts";

const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what styles begin with.
const STYLE = /\u001b\[\d+m/y;

/** A terminal's second screen, drawn anew as a whole; the first one comes back at the end as it was. */
export class Screen implements Disposable {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
    output.write(ENTER);
  }

  /** Shows as much of the text as there is room for. */
  draw(text: string): void {
    const { rows = 24, columns = 80 } = this.#output;
    const lines = text.replace(/\n$/, "").split("\n").slice(0, rows);
    const drawn = lines.map((line) => `${clipped(line, columns)}${CLEAR_LINE}`).join("\r\n");
    this.#output.write(`${HOME}${drawn}${CLEAR_BELOW}`);
  }

  [Symbol.dispose](): void {
    this.#output.write(LEAVE);
  }
}

/** The first `width` characters of a line, with every style: one that is cut off must end all the same. */
export function clipped(line: string, width: number): string {
  let text = "";
  let shown = 0;
  for (let at = 0; at < line.length; ) {
    STYLE.lastIndex = at;
    const style = STYLE.exec(line)?.[0];
    if (style !== undefined) {
      text += style;
      at += style.length;
      continue;
    }
    const character = String.fromCodePoint(line.codePointAt(at) ?? 0);
    if (shown < width) text += character;
    shown += 1;
    at += character.length;
  }
  return text;
}
