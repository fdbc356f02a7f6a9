import { posix } from "node:path";
import type { ImageConfig } from "../../model/image-config.ts";
import type { Command, Instruction, Pair } from "./instructions.ts";
import { invalid, quoted } from "./refuse.ts";
import type { Variables } from "./words.ts";
import { expand } from "./words.ts";

/** What instructions have said so far of those that follow, and of the layer that comes of them. */
export interface StageState {
  readonly config: ImageConfig;
  readonly shell: readonly string[];
  /** Arguments that have been declared and have a value. */
  readonly args: ReadonlyMap<string, string>;
  /** Whether the command is this build's own, and not that of what it stands on. */
  readonly hasOwnCommand: boolean;
}

/** Values of arguments, from outside of the stage. */
export interface Arguments {
  /** Those that the build was given. */
  readonly given: ReadonlyMap<string, string>;
  /** Those that were declared before the first FROM, and what the machine is. */
  readonly global: ReadonlyMap<string, string>;
}

const EMPTY_CONFIG: ImageConfig = {
  ...{ env: {}, workingDir: null, user: null, entrypoint: [], cmd: [], exposedPorts: [], labels: {} },
};
const SHELL = ["/bin/sh", "-c"];
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/;
const PORT = /^\d{1,5}(?:-\d{1,5})?(?:\/(?:tcp|udp|sctp))?$/;
/** They need not be declared, change nothing of what a step is, and are not kept. */
const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/** @param config of what it stands on */
export const newStage = (config: ImageConfig = EMPTY_CONFIG): StageState => ({
  ...{ config, shell: SHELL, args: new Map(), hasOwnCommand: false },
});

export const isPredefined = (name: string): boolean => PROXIES.includes(name);

/** Of a stage's words: what is in its environment, and below that its arguments. */
export const variablesOf =
  ({ config, args }: Pick<StageState, "config" | "args">): Variables =>
  (name) =>
    Object.hasOwn(config.env, name) ? config.env[name] : args.get(name);

/** The environment of a command of the build, but for the proxies. */
export const environmentOf = ({ config, args }: StageState): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(args),
  ...config.env,
});

export const proxiesOf = ({ given }: Arguments): Readonly<Record<string, string>> =>
  Object.fromEntries([...given].filter(([name]) => isPredefined(name)));

/** A path of the stage, from its working directory on. */
export const pathIn = ({ config }: StageState, path: string): string => posix.resolve(config.workingDir ?? "/", path);

/**
 * The state after an instruction, of which those that change files change nothing here.
 * @throws PlyboxError `build/invalid`, `build/unsupported`
 */
export function follow(state: StageState, instruction: Instruction, from: Arguments): StageState {
  const { config } = state;
  const variables = variablesOf(state);
  const expanded = (word: string): string => expand(word, variables, instruction);
  const pairs = (all: readonly Pair[]) =>
    Object.fromEntries(all.map(([name, value]) => [expanded(name), expanded(value)]));
  const withConfig = (changes: Partial<ImageConfig>): StageState => ({ ...state, config: { ...config, ...changes } });
  switch (instruction.kind) {
    case "env":
      return withConfig({ env: { ...config.env, ...pairs(instruction.pairs) } });
    case "label":
      return withConfig({ labels: { ...config.labels, ...pairs(instruction.pairs) } });
    case "arg":
      return { ...state, args: declare(state, instruction, from) };
    case "workdir":
      return withConfig({ workingDir: pathIn(state, expanded(instruction.value)) });
    case "user":
      return withConfig({ user: userOf(expanded(instruction.value), instruction.line) });
    case "cmd":
      return { ...withConfig({ cmd: argvOf(instruction.command, state) }), hasOwnCommand: true };
    case "entrypoint":
      // What stood below it was meant for another program.
      return withConfig({
        entrypoint: argvOf(instruction.command, state),
        ...(!state.hasOwnCommand && { cmd: [] }),
      });
    case "shell":
      return { ...state, shell: instruction.argv };
    case "expose":
      return withConfig({ exposedPorts: portsOf(config, instruction.ports.map(expanded), instruction.line) });
    default:
      return state;
  }
}

export const argvOf = (command: Command, { shell }: Pick<StageState, "shell">): readonly string[] =>
  command.form === "exec" ? command.argv : [...shell, command.line];

/** Declares arguments: what the build was given goes before what the Dockerfile says. */
export function declare(
  { config, args }: Pick<StageState, "config" | "args">,
  instruction: Extract<Instruction, { readonly kind: "arg" }>,
  { given, global }: Arguments,
): ReadonlyMap<string, string> {
  const all = new Map(args);
  for (const [name, word] of instruction.declared) {
    const standard = word === null ? global.get(name) : expand(word, variablesOf({ config, args: all }), instruction);
    const value = given.get(name) ?? standard;
    if (value !== undefined) all.set(name, value);
  }
  return all;
}

function userOf(user: string, line: number): string {
  if (user.length <= 128 && USER.test(user)) return user;
  throw invalid(line, `${quoted(user)} is no user; it is a name or an id, or one with a group behind a colon`);
}

function portsOf({ exposedPorts }: ImageConfig, words: readonly string[], line: number): readonly string[] {
  const ports = words.flatMap((word) => word.split(/\s+/)).filter((word) => word !== "");
  const wrong = ports.find((port) => !PORT.test(port));
  if (wrong !== undefined) throw invalid(line, `${quoted(wrong)} is no port`);
  const complete = ports.map((port) => (port.includes("/") ? port : `${port}/tcp`));
  return [...new Set([...exposedPorts, ...complete])].sort();
}
