import { masked } from "../../model/printable.ts";

/** One line for a terminal of what a command is: what its author named must not move the cursor. */
export function commandLine(command: string | readonly string[], characters: number): string {
  const line = typeof command === "string" ? command : command.join(" ");
  const shown = masked(line);
  return shown.length <= characters ? shown : `${shown.slice(0, characters - 1)}…`;
}
