import type { CliContext } from "../context.ts";

/** Says what is not wrong, but may not be what was meant. */
export function warn({ stderr }: Pick<CliContext, "stderr">, warnings: readonly string[]): void {
  for (const warning of warnings) stderr.write(`plybox: warning: ${warning}\n`);
}
