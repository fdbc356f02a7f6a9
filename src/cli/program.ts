import { Command } from "commander";
import { COMMANDS } from "./commands.ts";
import type { CliContext } from "./context.ts";

const EPILOGUE = `
plybox COMMAND --help says more. Exit codes of run and exec: the command's own; 124 time limit, 137 memory limit,
128+n signal, 126 not executable, 127 not found, 125 for a failure of Plybox itself.
`;

/**
 * Reads the arguments and does what they say.
 * @throws CommanderError for arguments that are not understood, and what the command throws
 */
export async function runProgram(args: readonly string[], context: CliContext): Promise<void> {
  const program = new Command("plybox")
    .description("Run what nobody should trust in sandboxes made of plies.")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      // The one catch in main tells of errors.
      outputError: () => {},
      getOutHelpWidth: () => context.stdout.columns ?? 100,
      getErrHelpWidth: () => context.stderr.columns ?? 100,
    })
    .addHelpText("after", EPILOGUE);
  await addCommands(program, args, context);
  if (args.length === 0) program.outputHelp();
  else if (args[0] === "--version" || args[0] === "-V") await runProgram(["version"], context);
  else await program.parseAsync(args, { from: "user" });
}

/** The command that was asked for is defined whole; of the others the help needs only a line. */
async function addCommands(program: Command, args: readonly string[], context: CliContext): Promise<void> {
  const asked = args[0] === "help" ? args[1] : args[0];
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    if (name === asked) (await load())(program, context);
    else program.command(name).summary(summary);
  }
  const own = program.commands.find((command) => command.name() === asked);
  const entry = Object.entries(COMMANDS).find(([name]) => name === asked)?.[1];
  if (entry !== undefined) own?.description(sentenceOf(entry.summary)).summary(entry.summary);
}

const sentenceOf = (summary: string): string => `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
