import type { Command } from "commander";
import { Option } from "commander";
import { PlyboxError } from "../model/errors.ts";
import type { Limits, SandboxSpec, UpperSpec } from "../model/sandbox.ts";
import { LIMIT_BOUNDS } from "../model/sandbox.ts";
import type { SeccompProfile, SeccompProfileName } from "../model/seccomp.ts";
import { SECCOMP_PROFILES } from "../model/seccomp.ts";
import { parseDuration } from "./values/duration.ts";
import { parseVariable } from "./values/environment.ts";
import { parseCores, parseCount } from "./values/numbers.ts";
import { parseSeccomp } from "./values/seccomp.ts";
import { formatSize, parseSize } from "./values/size.ts";

/** An option whose value is parsed; an error names the option. */
export function parsed<T>(flags: string, description: string, parse: (text: string) => T): Option {
  const option = new Option(flags, description);
  return option.argParser((text: string) => naming(option, () => parse(text)));
}

/** An option that may be given several times; its value is the list of them. */
export function repeated<T>(flags: string, description: string, parse: (text: string) => T): Option {
  const option = new Option(flags, `${description}; may be repeated`);
  return option.argParser((text: string, before: readonly T[] | undefined): readonly T[] => [
    ...(before ?? []),
    naming(option, () => parse(text)),
  ]);
}

function naming<T>(option: Option, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof PlyboxError)) throw error;
    throw new PlyboxError(error.code, error.message, { field: option.long ?? option.flags, cause: error });
  }
}

export const jsonOption = (description: string): Option => new Option("--json", description);

/** What a sandbox is made of, and what it may use. */
export interface SandboxOptions {
  readonly layer?: readonly string[];
  readonly memoryLimit?: number;
  readonly cpus?: number;
  readonly cpuWeight?: number;
  readonly pids?: number;
  readonly openFiles?: number;
  readonly fileSize?: number;
  readonly upper?: UpperSpec["kind"];
  readonly upperSize?: number;
  readonly upperInodes?: number;
  readonly seccomp?: SeccompProfileName | SeccompProfile;
  readonly allowPrivilegeEscalation?: true;
}

export function sandboxOptions(command: Command): Command {
  return command
    .addOption(repeated("--layer <name>", "layer to stand on (default: host)", String))
    .addOption(
      parsed(
        "--memory-limit <size>",
        "memory of all processes, such as 500M",
        within("memoryBytes", parseSize, formatSize),
      ),
    )
    .addOption(parsed("--cpus <cores>", "cores, such as 0.5", within("cpus", parseCores, String)))
    .addOption(
      parsed(
        "--cpu-weight <weight>",
        "share of the cores beside other sandboxes (default: 100)",
        within("cpuWeight", parseCount, String),
      ),
    )
    .addOption(parsed("--pids <count>", "processes and threads", within("pids", parseCount, String)))
    .addOption(parsed("--open-files <count>", "descriptors of one process", within("openFiles", parseCount, String)))
    .addOption(
      parsed(
        "--file-size <size>",
        "how large one file may be made, such as 100M",
        within("fileSizeBytes", parseSize, formatSize),
      ),
    )
    .addOption(new Option("--upper <kind>", "where the writable layer lives").choices(["tmpfs", "disk"]))
    .addOption(
      parsed("--upper-size <size>", "size limit of the upper, such as 1G", within("upperBytes", parseSize, formatSize)),
    )
    .addOption(
      parsed(
        "--upper-inodes <count>",
        "files, directories and links of the upper",
        within("upperInodes", parseCount, String),
      ),
    )
    .addOption(
      parsed(
        "--seccomp <profile>",
        `system calls it may make: ${SECCOMP_PROFILES.join(", ")}, or a file with an OCI profile`,
        parseSeccomp,
      ),
    )
    .option("--allow-privilege-escalation", "let setuid programs such as sudo work inside");
}

/** A parser that refuses what nothing can have; the API does the same. */
export function within(
  limit: keyof typeof LIMIT_BOUNDS,
  parse: (text: string) => number,
  format: (value: number) => string,
): (text: string) => number {
  const { min, max } = LIMIT_BOUNDS[limit];
  return (text) => {
    const value = parse(text);
    if (value >= min && value <= max) return value;
    throw new PlyboxError("input/invalid", `must be ${format(min)} to ${format(max)}, not ${text.trim()}`);
  };
}

/** The sandbox that the options ask for; what they do not say is left to its defaults. */
export function sandboxSpecOf(
  options: SandboxOptions,
): Pick<SandboxSpec, "layers" | "limits" | "upper" | "seccomp" | "allowPrivilegeEscalation"> {
  const { layer, seccomp } = options;
  const limits = limitsOf(options);
  const upper = upperOf(options);
  return {
    ...(layer !== undefined && { layers: layer }),
    ...(Object.keys(limits).length > 0 && { limits }),
    ...(upper !== undefined && { upper }),
    ...(seccomp !== undefined && { seccomp }),
    ...(options.allowPrivilegeEscalation && { allowPrivilegeEscalation: true }),
  };
}

const limitsOf = ({ memoryLimit, cpus, cpuWeight, pids, openFiles, fileSize }: SandboxOptions): Partial<Limits> => ({
  ...(memoryLimit !== undefined && { memoryBytes: memoryLimit }),
  ...(pids !== undefined && { pids }),
  ...(cpus !== undefined && { cpus }),
  ...(cpuWeight !== undefined && { cpuWeight }),
  ...(openFiles !== undefined && { openFiles }),
  ...(fileSize !== undefined && { fileSizeBytes: fileSize }),
});

function upperOf({ upper, upperSize, upperInodes }: SandboxOptions): UpperSpec | undefined {
  if ((upper ?? upperSize ?? upperInodes) === undefined) return undefined;
  if (upper === "disk" && upperSize !== undefined) {
    const { min } = LIMIT_BOUNDS.diskBytes;
    if (upperSize < min) {
      const message = `must be ${formatSize(min)} or more on disk, not ${formatSize(upperSize)}`;
      throw new PlyboxError("input/invalid", message, { field: "--upper-size" });
    }
  } else if (upper === "disk" && upperInodes !== undefined) {
    const message = "an upper on disk counts inodes only where it has an --upper-size";
    throw new PlyboxError("input/invalid", message, { field: "--upper-inodes" });
  }
  return {
    kind: upper ?? "tmpfs",
    ...(upperSize !== undefined && { bytes: upperSize }),
    ...(upperInodes !== undefined && { inodes: upperInodes }),
  };
}

/** How a command runs. */
export interface CommandOptions {
  readonly env?: readonly (readonly [name: string, value: string])[];
  readonly cwd?: string;
  readonly user?: string;
  readonly timeLimit?: number;
  readonly json?: true;
}

export function commandOptions(command: Command, env: NodeJS.ProcessEnv): Command {
  return command
    .addOption(variablesOption(env))
    .addOption(parsed("--cwd <path>", "absolute working directory inside", parseInnerPath))
    .option("--user <user>", "name, uid, name:group or uid:gid inside (default: root)")
    .addOption(parsed("--time-limit <time>", "wall time after which the command is ended, such as 10s", parseDuration))
    .addOption(jsonOption("collect the output and print it with the exit report as JSON"));
}

export const variablesOption = (env: NodeJS.ProcessEnv): Option =>
  repeated("--env <name=value>", "variable to set; NAME alone passes your own value", (text) =>
    parseVariable(text, env),
  );

export const environmentOf = (
  variables: readonly (readonly [string, string])[] | undefined,
): { readonly env?: Readonly<Record<string, string>> } =>
  variables === undefined ? {} : { env: Object.fromEntries(variables) };

/** Drops the `--` that ends the options; what follows belongs to the command. */
export const withoutSeparator = (words: readonly string[]): readonly string[] =>
  words[0] === "--" ? words.slice(1) : words;

function parseInnerPath(text: string): string {
  if (text.startsWith("/")) return text;
  throw new PlyboxError("input/invalid", `not an absolute path: ${JSON.stringify(text.slice(0, 80))}`);
}
