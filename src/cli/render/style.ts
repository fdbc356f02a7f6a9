import type { CliContext, Output } from "../context.ts";

const CODES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const;

export type Style = keyof typeof CODES;
/** Puts a style around a text, or leaves it as it is where colours are off. */
export type Paint = (style: Style, text: string) => string;

/** Colours are on where the stream is a terminal that has them and NO_COLOR (any value but the empty one) is not set. */
export function paintFor({ env }: Pick<CliContext, "env">, stream: Pick<Output, "isTTY">): Paint {
  const on = stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
  if (!on) return (_style, text) => text;
  return (style, text) => `\u001b[${CODES[style][0]}m${text}\u001b[${CODES[style][1]}m`;
}
