import type { Output } from "../context.ts";

/** Writes what `--json` asks for: one value, indented, with its line end. */
export function writeJson(stream: Output, value: unknown): void {
  stream.write(`${JSON.stringify(value, null, 2)}\n`);
}
