import type { DaemonPaths, Target } from "./target.ts";

/** What a process holds that others shall not find. */
export interface Holder {
  /** The name of its abstract socket and of its message queue. */
  readonly mark: string;
  /** In its command line, and whole in no other. */
  readonly word: string;
  /** Of its shared memory, semaphores and messages. */
  readonly key: string;
  /** On its loopback interface. */
  readonly port: string;
}

/** What there is outside of a sandbox that an attack looks for. */
export interface Facts {
  readonly host: Holder;
  /** The same in another sandbox. */
  readonly neighbour: Holder;
  /** A file that everybody outside may read, and the directory that it lies in. */
  readonly file: string;
  readonly directory: string;
  /** File handles: of the file, of the host's network namespace and of a process of the host. */
  readonly handles: { readonly file: string; readonly network: string; readonly process: string };
  /** A key in the keyring of the user who runs the daemon. */
  readonly keySerial: string;
  readonly daemonUser: number;
  /** A process that root started with a file of the host open. */
  readonly holderPid: number;
  /** A word of the daemon's environment. */
  readonly environment: string;
  readonly daemon: DaemonPaths;
  /** A block device of the machine that can be opened, if there is one. */
  readonly device: { readonly path: string; readonly major: string; readonly minor: string } | undefined;
}

export const LANGUAGES = ["C", "Python", "shell", "TypeScript"] as const;

interface Tried {
  /** In kebab-case, unique. */
  readonly name: string;
  /** What is tried, to follow "it tries to". */
  readonly tries: string;
}

type Arguments = (facts: Facts) => readonly string[];

/** A program that attacks: test/containment/attacks says how it tells what became of it. */
export interface ProgramProbe extends Tried {
  readonly language: Exclude<(typeof LANGUAGES)[number], "TypeScript">;
  /** The attack and its arguments. */
  readonly inside: Arguments;
  /** The same attack on something harmless, outside, as root. */
  readonly outside: Arguments;
  /** The control runs in mount, UTS, IPC, network and PID namespaces of its own, so that what it changes goes with them. */
  readonly disposable?: boolean;
  /** A line of shell that makes ready what the control needs, in the same namespaces; `$ATTACKS` is the program in C. */
  readonly before?: string;
  /** The control is run by who runs the daemon, rather than by root. */
  readonly byDaemonUser?: boolean;
  /** Who attacks inside; root by default. */
  readonly user?: string;
  /** Reasons that prove a refusal, beside those of `FORBIDDEN`. */
  readonly proof?: readonly string[];
  /** Reasons for which the control says that this machine has no such thing, and what it lacks. */
  readonly lacks?: Readonly<Record<string, string>>;
}

/** What those outside are made to do by somebody inside, or may see of it. */
export interface OutsideProbe extends Tried {
  readonly language: "TypeScript";
  /** Whether the same does harm where nobody takes care; throws where it could not be tried. */
  outside(facts: Facts): Promise<boolean>;
  /** Whether it did harm with the target. */
  inside(target: Target, facts: Facts): Promise<boolean>;
}

export type Probe = ProgramProbe | OutsideProbe;

/** Probes of one subject. */
export interface ProbeGroup {
  readonly title: string;
  readonly probes: readonly Probe[];
}

type Extras = Partial<Omit<ProgramProbe, "name" | "tries" | "language">>;

const probeIn =
  (language: ProgramProbe["language"]) =>
  (name: string, tries: string, attack: readonly string[] | Arguments, extras: Extras = {}): ProgramProbe => {
    const both: Arguments = typeof attack === "function" ? attack : () => attack;
    return { name, tries, language, inside: both, outside: both, ...extras };
  };

/** A probe whose attack is one of the table in attacks/*.c, a function of attacks.py or one of attacks.sh. */
export const inC = probeIn("C");
export const inPython = probeIn("Python");
export const inShell = probeIn("shell");
