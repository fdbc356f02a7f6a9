import type { Command } from "commander";
import { PlyboxError } from "../../model/errors.ts";
import type { ExecRequest } from "../../model/exec.ts";
import { newExecId } from "../../model/ids.ts";
import { commandOf } from "../../model/image-config.ts";
import type { SandboxSpec } from "../../model/sandbox.ts";
import type { CliContext } from "../context.ts";
import { exitCodeOfSignal } from "../exit-code.ts";
import { loadOneShot } from "../load-daemon.ts";
import type { CommandOptions, SandboxOptions } from "../options.ts";
import { commandOptions, environmentOf, repeated, sandboxOptions, sandboxSpecOf } from "../options.ts";
import { warn } from "../render/warn.ts";
import { attend } from "../stdio/attend.ts";
import { requireTerminal, sizeOf, terminalEnvironment } from "../stdio/attend-terminal.ts";
import { inProcessCommand } from "../stdio/in-process-command.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import { inProcessTerminal } from "../stdio/terminal-command.ts";
import type { TerminalOptions } from "../stdio/terminal-session.ts";
import { holdTerminal, terminalOptions } from "../stdio/terminal-session.ts";
import { bindsFor, isShown } from "../values/allowed-paths.ts";
import { formatSize } from "../values/size.ts";

interface RunOptions extends CommandOptions, SandboxOptions, TerminalOptions {
  readonly interactive?: true;
  readonly tty?: true;
  readonly allowRead?: readonly string[];
  readonly allowWrite?: readonly string[];
}

const EXAMPLES = `
Examples:
  plybox run -- python3 -c 'print(6*7)'
  plybox run --allow-write . --time-limit 2m -- make test
  echo data | plybox run --memory-limit 500M -- sort
`;

export function defineRun(program: Command, context: CliContext): void {
  const command = program
    .command("run")
    .usage("[options] -- [command [argument...]]")
    .argument("[command...]", "program and its arguments (default: what the image of a layer is made to run)")
    .passThroughOptions()
    .addHelpText("after", EXAMPLES);
  sandboxOptions(command)
    .addOption(repeated("--allow-read <path>", "show a file or directory of this machine, read-only", String))
    .addOption(repeated("--allow-write <path>", "show a file or directory of this machine, writable", String));
  command.option("-i, --interactive", "pass stdin on, which is what is done anyway");
  terminalOptions(command);
  commandOptions(command, context.env).action(async (words: string[], options: RunOptions) => {
    await run(words, options, context);
  });
}

/** Makes a sandbox in this process, runs the command in it, and removes it. */
async function run(words: readonly string[], options: RunOptions, context: CliContext): Promise<void> {
  if (options.tty === true) checkTerminal(options, context);
  const { spec, request } = planOf(words, options, context);
  const abort = new AbortController();
  using interrupts = new Interrupts(context.interrupts, (signal) =>
    abort.abort(new PlyboxError("aborted", `interrupted by ${signal}`)),
  );
  try {
    await runOnce(spec, request, { options, context, interrupts, signal: abort.signal });
  } catch (error) {
    // Interrupted before the command began: whoever did it knows why nothing runs.
    if (!abort.signal.aborted || interrupts.last === undefined) throw error;
    context.exitCode = exitCodeOfSignal(interrupts.last);
  }
}

function checkTerminal({ json }: RunOptions, context: CliContext): void {
  if (json) throw new PlyboxError("input/invalid", "a terminal cannot be collected", { field: "--json" });
  requireTerminal(context);
}

type OneShot = Awaited<ReturnType<typeof loadOneShot>>;

interface Attempt {
  readonly options: RunOptions;
  readonly context: CliContext;
  readonly interrupts: Interrupts;
  readonly signal: AbortSignal;
}

async function runOnce(spec: SandboxSpec, request: ExecRequest, attempt: Attempt): Promise<void> {
  const { options, context, interrupts, signal } = attempt;
  const oneShot = await loadOneShot(context);
  try {
    const command = request.command.length > 0 ? request.command : await imageCommand(oneShot.layers, spec);
    const { id, warnings } = await oneShot.sandboxes.create(spec, signal);
    warn(context, warnings);
    const session = await oneShot.sandboxes.exec(id, { ...request, command }, signal);
    if (options.tty === true) {
      const terminal = inProcessTerminal(session, oneShot.sandboxes, id);
      await holdTerminal(terminal, { context, interrupts, comeBack: undefined, ...options });
      return;
    }
    await attend(inProcessCommand(session, oneShot.sandboxes, id), {
      ...{ context, interrupts, timeLimitMs: options.timeLimit, json: options.json === true, input: true },
      memoryLimit: options.memoryLimit === undefined ? undefined : formatSize(options.memoryLimit),
    });
  } finally {
    await oneShot.close();
  }
}

/** What the highest layer that was made of an image is made to run. */
async function imageCommand(
  layers: OneShot["layers"],
  { layers: names = [] }: SandboxSpec,
): Promise<readonly string[]> {
  const manifests = names.length === 0 ? [] : await layers.resolve(names);
  const config = manifests.findLast((manifest) => manifest.config !== undefined)?.config;
  const command = config === undefined ? [] : commandOf(config);
  if (command.length > 0) return command;
  throw new PlyboxError("input/invalid", "give a command: no layer is of an image that has one", { field: "command" });
}

function planOf(words: readonly string[], options: RunOptions, context: CliContext) {
  const { cwd } = context;
  const binds = bindsFor({ read: options.allowRead ?? [], write: options.allowWrite ?? [] }, cwd());
  // Who shows the directory that they are in means to work there.
  const here = isShown(cwd(), binds) ? cwd() : undefined;
  const directory = options.cwd ?? here;
  // The command is all that runs.
  const spec: SandboxSpec = { ...sandboxSpecOf(options), start: null, ...(binds.length > 0 && { binds }) };
  const request: ExecRequest = {
    exec: newExecId(),
    command: words,
    stdin: true,
    ...(options.tty === true && { pty: sizeOf(context.stdout) }),
    env: { ...(options.tty === true && terminalEnvironment(context)), ...environmentOf(options.env).env },
    ...(directory !== undefined && { cwd: directory }),
    ...(options.user !== undefined && { user: options.user }),
    ...(options.timeLimit !== undefined && { wallMs: options.timeLimit }),
  };
  return { spec, request };
}
