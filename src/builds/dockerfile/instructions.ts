import { invalid, quoted, unsupported } from "./refuse.ts";
import type { Heredoc, Statement } from "./statements.ts";
import { readStatements } from "./statements.ts";
import type { Place } from "./words.ts";
import { splitWords } from "./words.ts";

/** What is to be run: a program with its arguments, or a line for the shell. */
export type Command =
  | { readonly form: "exec"; readonly argv: readonly string[] }
  | { readonly form: "shell"; readonly line: string };

/** Words are as they are written; variables in them are replaced when it is their turn. */
export type Pair = readonly [name: string, value: string];

export interface CopyInstruction {
  readonly kind: "copy" | "add";
  readonly sources: readonly string[];
  readonly documents: readonly Heredoc[];
  readonly target: string;
  /** A stage, a layer or an image; null for the context. */
  readonly from: string | null;
  readonly owner: string | null;
  readonly mode: string | null;
}

export type Instruction = Place & { readonly keyword: string; readonly text: string } & (
    | { readonly kind: "from"; readonly image: string; readonly stage: string | null; readonly platform: string | null }
    | { readonly kind: "run"; readonly command: Command }
    | CopyInstruction
    | { readonly kind: "env" | "label"; readonly pairs: readonly Pair[] }
    | { readonly kind: "arg"; readonly declared: readonly (readonly [name: string, value: string | null])[] }
    | { readonly kind: "workdir" | "user"; readonly value: string }
    | { readonly kind: "cmd" | "entrypoint"; readonly command: Command }
    | { readonly kind: "shell"; readonly argv: readonly string[] }
    | { readonly kind: "expose"; readonly ports: readonly string[] }
    /** What only other runtimes have a use for. */
    | { readonly kind: "ignored" }
  );

type Fields = Instruction extends infer Each
  ? Each extends Instruction
    ? Omit<Each, keyof Place | "keyword" | "text">
    : never
  : never;

/** What the flags of an instruction may be; those that have a reason are refused with it. */
const FLAGS: Readonly<Record<string, Readonly<Record<string, "taken" | "without-effect" | "unsupported">>>> = {
  FROM: { platform: "taken" },
  RUN: { network: "taken", security: "taken", mount: "unsupported" },
  COPY: {
    from: "taken",
    chown: "taken",
    chmod: "taken",
    link: "without-effect",
    parents: "unsupported",
    exclude: "unsupported",
  },
  ADD: {
    chown: "taken",
    chmod: "taken",
    link: "without-effect",
    checksum: "unsupported",
    "keep-git-dir": "unsupported",
    exclude: "unsupported",
  },
};
const FLAG = /^--([a-z-]+)(?:=(\S*))?(?:\s+|$)/;
const STAGE = /^[a-z][a-z0-9_.-]*$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The instructions of a Dockerfile, in their order.
 * @throws PlyboxError `build/invalid` with the line, `build/unsupported`
 */
export function parseDockerfile(text: string): readonly Instruction[] {
  return readStatements(text).map((statement) => {
    const { flags, rest } = takeFlags(statement);
    const { keyword, line, escapeCharacter } = statement;
    const parse = PARSERS[keyword];
    if (parse === undefined) throw invalid(line, `there is no instruction ${quoted(keyword)}`);
    const lacksText = rest === "" && statement.heredocs.length === 0;
    if (lacksText) throw invalid(line, `${keyword} says nothing`);
    return {
      keyword,
      line,
      escapeCharacter,
      text: statement.text,
      ...parse({ ...statement, text: rest }, flags),
    } as Instruction;
  });
}

type Flags = ReadonlyMap<string, string>;
type Parse = (statement: Statement, flags: Flags) => Fields;

const ignored: Parse = () => ({ kind: "ignored" });

const PARSERS: Readonly<Record<string, Parse>> = {
  FROM: parseFrom,
  RUN: parseRun,
  COPY: (statement, flags) => parseCopy("copy", statement, flags),
  ADD: (statement, flags) => parseCopy("add", statement, flags),
  ENV: (statement) => ({ kind: "env", pairs: parsePairs(statement) }),
  LABEL: (statement) => ({ kind: "label", pairs: parsePairs(statement) }),
  ARG: parseArg,
  WORKDIR: ({ text }) => ({ kind: "workdir", value: text }),
  USER: ({ text }) => ({ kind: "user", value: text }),
  CMD: (statement) => ({ kind: "cmd", command: parseCommand(statement) }),
  ENTRYPOINT: (statement) => ({ kind: "entrypoint", command: parseCommand(statement) }),
  SHELL: parseShell,
  EXPOSE: ({ text, escapeCharacter }) => ({ kind: "expose", ports: splitWords(text, escapeCharacter) }),
  VOLUME: ignored,
  STOPSIGNAL: ignored,
  HEALTHCHECK: ignored,
  ONBUILD: ignored,
  MAINTAINER: ignored,
};

function takeFlags({ keyword, line, text }: Statement): { readonly flags: Flags; readonly rest: string } {
  const known = FLAGS[keyword];
  const flags = new Map<string, string>();
  let rest = text;
  if (known === undefined) return { flags, rest };
  for (let found = FLAG.exec(rest); found !== null; found = FLAG.exec(rest)) {
    const [all, name = "", value = ""] = found;
    const use = Object.hasOwn(known, name) ? known[name] : undefined;
    if (use === undefined) throw invalid(line, `${keyword} has no flag --${name}`);
    if (use === "unsupported") throw unsupported(line, `${keyword} --${name} is not known here`);
    if (flags.has(name)) throw invalid(line, `--${name} is there twice`);
    flags.set(name, value);
    rest = rest.slice(all.length);
  }
  return { flags, rest };
}

function parseFrom({ text, line, escapeCharacter }: Statement, flags: Flags): Fields {
  const [image = "", as, stage = null, ...more] = splitWords(text, escapeCharacter);
  if (more.length > 0 || (as !== undefined && (as.toUpperCase() !== "AS" || stage === null))) {
    throw invalid(line, "FROM is followed by an image, or by an image, AS and a name");
  }
  const name = stage?.toLowerCase() ?? null;
  if (name !== null && !STAGE.test(name)) throw invalid(line, `${quoted(stage ?? "")} cannot be the name of a stage`);
  return { kind: "from", image, stage: name, platform: flags.get("platform") ?? null };
}

function parseRun(statement: Statement, flags: Flags): Fields {
  const { line } = statement;
  const network = flags.get("network") ?? "default";
  if (network === "host") throw unsupported(line, "RUN has no network of the host here");
  if (!["default", "none"].includes(network)) throw invalid(line, `there is no network ${quoted(network)}`);
  const security = flags.get("security") ?? "sandbox";
  if (security === "insecure") throw unsupported(line, "RUN is always run in a sandbox here");
  if (security !== "sandbox") throw invalid(line, `there is no security ${quoted(security)}`);
  return { kind: "run", command: parseCommand(statement) };
}

function parseCopy(kind: "copy" | "add", { keyword, text, line, heredocs }: Statement, flags: Flags): Fields {
  const words = jsonStrings(text) ?? text.split(/\s+/);
  const target = words.at(-1);
  if (target === undefined || words.length < 2) throw invalid(line, `${keyword} is followed by sources and a target`);
  const markers = new Set(heredocs.map(({ marker }) => marker));
  return {
    kind,
    sources: words.slice(0, -1).filter((word) => !markers.has(word)),
    documents: heredocs,
    target,
    from: flags.get("from") ?? null,
    owner: flags.get("chown") ?? null,
    mode: flags.get("chmod") ?? null,
  };
}

function parsePairs({ keyword, text, line, escapeCharacter }: Statement): readonly Pair[] {
  const words = splitWords(text, escapeCharacter);
  const [first = ""] = words;
  if (!first.includes("=")) {
    // The old form: one name, and the rest of the line.
    const value = text.slice(first.length).trim();
    if (value === "") throw invalid(line, `${keyword} gives ${quoted(first)} no value`);
    return [[first, value]];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals <= 0) throw invalid(line, `${quoted(word)} is no NAME=VALUE`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

function parseArg({ text, line, escapeCharacter }: Statement): Fields {
  const declared = splitWords(text, escapeCharacter).map((word) => {
    const equals = word.indexOf("=");
    const name = equals === -1 ? word : word.slice(0, equals);
    if (!VARIABLE.test(name)) throw invalid(line, `${quoted(name)} cannot be the name of an argument`);
    return [name, equals === -1 ? null : word.slice(equals + 1)] as const;
  });
  return { kind: "arg", declared };
}

/** A document alone is the script; those of a line are for the shell to read. */
function parseCommand({ text, heredocs, line }: Statement): Command {
  const argv = jsonStrings(text);
  if (argv !== undefined) return { form: "exec", argv };
  const [script] = heredocs;
  if (script?.marker === text) {
    if (script.content.startsWith("#!"))
      throw unsupported(line, "a script is run by the shell here; name its interpreter");
    return { form: "shell", line: script.content };
  }
  const documents = heredocs.map(({ name, content }) => `\n${content}${name}`).join("");
  return { form: "shell", line: `${text}${documents}` };
}

function parseShell({ text, line }: Statement): Fields {
  const argv = jsonStrings(text);
  if (argv === undefined || argv.length === 0) throw invalid(line, 'SHELL is a list, such as ["/bin/sh", "-c"]');
  return { kind: "shell", argv };
}

/** Undefined for what is no JSON list of strings, which then means something else. */
function jsonStrings(text: string): readonly string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}
