/** One line for a terminal of what a command is: what its author named must not move the cursor. */
export function commandLine(command: string | readonly string[], characters: number): string {
  const line = typeof command === "string" ? command : command.join(" ");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  const shown = line.replace(/[\x00-\x1f\x7f]/g, "?");
  return shown.length <= characters ? shown : `${shown.slice(0, characters - 1)}…`;
}
