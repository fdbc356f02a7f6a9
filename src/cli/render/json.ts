import { jsonLine } from "../../model/printable.ts";
import type { Output } from "../context.ts";

/** Writes what `--json` asks for: one value, indented, with its line end. */
export function writeJson(stream: Output, value: unknown): void {
  stream.write(`${jsonLine(value, 2)}\n`);
}
