import { PlyboxError } from "../model/errors.ts";
import type { SeccompAction, SeccompArgument, SeccompCondition, SeccompProfile } from "../model/seccomp.ts";
import { NUMBERS } from "./calls.ts";

/** What a profile is resolved for. */
export interface SeccompTarget {
  /** As `process.arch` has it. */
  readonly arch: string;
  /** Such as `6.18.44`. */
  readonly kernel: string;
  /** Capabilities that the sandbox has. */
  readonly capabilities: ReadonlySet<string>;
}

export interface CallRule {
  /** In the compiler's words, such as `errno:1`. */
  readonly action: string;
  readonly args: readonly SeccompArgument[];
}

/** A profile for one target: the action of calls without a rule, and the rules of each other call. */
export interface CallRules {
  readonly fallback: string;
  readonly calls: ReadonlyMap<string, readonly CallRule[]>;
}

const EPERM = 1;
const ALLOW = "allow";
const GO_ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64" };

const ACTIONS: Readonly<Record<Exclude<SeccompAction, "SCMP_ACT_ERRNO">, string>> = {
  SCMP_ACT_ALLOW: ALLOW,
  SCMP_ACT_KILL: "kill-thread",
  SCMP_ACT_KILL_PROCESS: "kill-process",
  SCMP_ACT_KILL_THREAD: "kill-thread",
  SCMP_ACT_LOG: "log",
  SCMP_ACT_TRAP: "trap",
};

/**
 * Resolves a profile for a machine and a sandbox.
 * @throws PlyboxError `input/invalid` naming the rule that another one contradicts
 */
export function resolveProfile(profile: SeccompProfile, target: SeccompTarget): CallRules {
  const calls = new Map<string, CallRule[]>();
  for (const rule of profile.syscalls ?? []) {
    if (!applies(rule, target)) continue;
    const action = wordOf(rule.action, rule.errnoRet);
    for (const name of rule.names) {
      const rules = calls.get(name) ?? [];
      calls.set(name, withRule(name, rules, { action, args: rule.args ?? [] }));
    }
  }
  return { fallback: wordOf(profile.defaultAction, profile.defaultErrnoRet), calls };
}

/** What the compiler reads. */
export function toText({ fallback, calls }: CallRules): string {
  const lines = [`default ${fallback}`];
  for (const [name, rules] of calls) {
    const number = NUMBERS[name];
    const call = number === undefined ? name : `${name}=${number}`;
    for (const { action, args } of rules) lines.push(["rule", action, call, ...args.map(argumentText)].join(" "));
  }
  return `${lines.join("\n")}\n`;
}

/** Whether a call is let through, with some arguments at least. */
export function lets({ fallback, calls }: CallRules, name: string): boolean {
  const rules = calls.get(name) ?? [];
  // What no rule says anything of is left to the fallback.
  const isWhollyRuled = rules.some(({ args }) => args.length === 0);
  return rules.some(({ action }) => isLetting(action)) || (!isWhollyRuled && isLetting(fallback));
}

const isLetting = (action: string): boolean => action === ALLOW || action === "log";

/** The same rules with these calls let through, whatever their arguments. */
export function letting(rules: CallRules, names: readonly string[]): CallRules {
  return {
    ...rules,
    calls: new Map([...rules.calls, ...names.map((name) => [name, [{ action: ALLOW, args: [] }]] as const)]),
  };
}

/** Rules that let everything through but these calls, for which they say what `rules` says. */
export function onlyOf({ fallback, calls }: CallRules, names: readonly string[]): CallRules {
  const chosen = names.map((name) => [name, calls.get(name) ?? [{ action: fallback, args: [] }]] as const);
  return { fallback: ALLOW, calls: new Map(chosen) };
}

const wordOf = (action: SeccompAction, errno: number = EPERM): string =>
  action === "SCMP_ACT_ERRNO" ? `errno:${errno}` : ACTIONS[action];

const argumentText = ({ index, value, valueTwo, op }: SeccompArgument): string => {
  const words = [index, op.slice("SCMP_CMP_".length).toLowerCase().replaceAll("_", "-"), value];
  return [...words, ...(op === "SCMP_CMP_MASKED_EQ" ? [valueTwo ?? 0] : [])].join(":");
};

/** Of two rules that meet the same arguments the stricter counts. */
function withRule(name: string, rules: readonly CallRule[], added: CallRule): CallRule[] {
  const kept = rules.filter((rule) => !covers(added, rule));
  if (rules.some((rule) => covers(rule, added))) return [...rules];
  const all = [...kept, added];
  // The compiler would pass over the one with arguments, and nobody writes that rule to have no effect.
  const wide = all.find(({ args }) => args.length === 0);
  const narrow = all.find(({ args }) => args.length > 0);
  if (wide === undefined || narrow === undefined) return all;
  const message = `of ${name} two rules contradict each other: ${describe(wide)} and ${describe(narrow)}`;
  throw new PlyboxError("input/invalid", message, { field: "seccomp.syscalls" });
}

/** Whether a rule is met wherever the other is, and is no less strict. */
const covers = (rule: CallRule, other: CallRule): boolean =>
  (rule.args.length === 0 || argsText(rule.args) === argsText(other.args)) && strictness(rule) >= strictness(other);

const STRICTNESS = [ALLOW, "log", "errno", "trap", "kill-thread", "kill-process"];
const strictness = ({ action }: CallRule): number => STRICTNESS.indexOf(action.replace(/:.*/, ""));

const argsText = (args: readonly SeccompArgument[]): string => args.map(argumentText).sort().join(" ");
const describe = ({ action, args }: CallRule): string =>
  args.length === 0 ? action : `${action} where ${args.map(argumentText).join(" and ")}`;

function applies(
  { includes, excludes }: { readonly includes?: SeccompCondition; readonly excludes?: SeccompCondition },
  target: SeccompTarget,
): boolean {
  const { caps = [], arches = [], minKernel } = includes ?? {};
  const arch = GO_ARCHITECTURES[target.arch] ?? target.arch;
  if (!caps.every((name) => target.capabilities.has(name))) return false;
  if (arches.length > 0 && !arches.includes(arch)) return false;
  if (minKernel !== undefined && !isAtLeast(target.kernel, minKernel)) return false;
  if (excludes?.caps?.some((name) => target.capabilities.has(name))) return false;
  if (excludes?.arches?.includes(arch)) return false;
  return excludes?.minKernel === undefined || !isAtLeast(target.kernel, excludes.minKernel);
}

function isAtLeast(kernel: string, wanted: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split(".").map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
