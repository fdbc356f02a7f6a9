import { constants } from "node:os";
import { isatty } from "node:tty";
import type { CliContext } from "./context.ts";
import { Interrupts } from "./stdio/interrupts.ts";

interface AgainOptions {
  /** The context's, but for what options say. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whether sandboxes outlive the command. */
  readonly lasting?: boolean;
}

/**
 * What makes sandboxes has to be root, of a user namespace if not of the machine: for another user the same command
 * line is run again in a namespace of the user's own, and this process ends as that one does. Resolves, for root, at once.
 * @throws PlyboxError `host/missing` with cause and mend when there is no namespace to be had
 */
export async function againAsRoot(
  { interrupts, ...context }: Pick<CliContext, "env" | "interrupts">,
  options: AgainOptions = {},
): Promise<void> {
  if ((process.getuid?.() ?? 0) === 0) return;
  const [{ loadConfig }, { runInOwnNamespace }] = await Promise.all([
    import("../daemon/config.ts"),
    import("../daemon/rootless/own-namespace.ts"),
  ]);
  const { env = context.env, lasting = false } = options;
  const isOnTerminal = [0, 1, 2].some(isatty);
  const run = await runInOwnNamespace(loadConfig(env), env, lasting);
  using _interrupts = new Interrupts(interrupts, (signal) => {
    // What a terminal sends, it sends to everybody in the foreground.
    const isSentToBoth = isOnTerminal && (signal === "SIGINT" || signal === "SIGQUIT");
    if (!isSentToBoth) run.kill(signal);
  });
  const { code, signal } = await run.ended;
  process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
}
