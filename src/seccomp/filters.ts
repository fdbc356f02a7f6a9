import { PlyboxError } from "../model/errors.ts";
import type { SeccompPlan } from "../model/launch-plan.ts";
import type { Sandbox } from "../model/sandbox.ts";
import { agentCalls } from "./agent-calls.ts";
import { compileFilter } from "./compile.ts";
import { BUILT_IN_PROFILES } from "./profiles.ts";
import { readProfile } from "./read-profile.ts";
import type { CallRules, SeccompTarget } from "./rules.ts";
import { lets, letting, onlyOf, resolveProfile } from "./rules.ts";

export interface FilterHost extends SeccompTarget {
  readonly cgroupVersion: 1 | 2;
}

type Confined = Pick<Sandbox, "seccomp" | "allowPrivilegeEscalation">;

type Wanted = Exclude<Sandbox["seccomp"], "unconfined">;

/** Profiles of users are few; what is older is compiled again. */
const KEPT = 64;

/** Compiles the profiles of sandboxes, each once. */
export class SeccompFilters {
  readonly #host: FilterHost;
  readonly #plans = new Map<string, Promise<SeccompPlan>>();

  constructor(host: FilterHost) {
    this.#host = host;
  }

  /** Compiles what most sandboxes have, so that the first does not wait for it. What fails shows where it is needed. */
  warmUp(): void {
    this.filterFor({ seccomp: "default", allowPrivilegeEscalation: false }).catch(() => {});
  }

  /**
   * The filters of a sandbox; undefined where it is to have none.
   * @throws PlyboxError `input/invalid` where the profile contradicts itself or does not let the agent live
   */
  async filterFor({ seccomp, allowPrivilegeEscalation }: Confined): Promise<SeccompPlan | undefined> {
    if (seccomp === "unconfined") return undefined;
    const key = JSON.stringify([seccomp, allowPrivilegeEscalation]);
    const known = this.#plans.get(key);
    if (known !== undefined) return await known;
    const plan = this.#compile(seccomp, allowPrivilegeEscalation);
    this.#plans.set(key, plan);
    plan.catch(() => this.#plans.delete(key));
    for (const oldest of this.#plans.keys()) if (this.#plans.size > KEPT) this.#plans.delete(oldest);
    return await plan;
  }

  /**
   * One filter holds for the agent and for all that it starts, so a command costs no installation. What the agent needs
   * and the profile refuses is let through there, and refused by a small second filter of each command.
   */
  async #compile(wanted: Wanted, mayGainPrivileges: boolean): Promise<SeccompPlan> {
    const profile = typeof wanted === "string" ? BUILT_IN_PROFILES[wanted] : await readProfile(wanted);
    const rules = resolveProfile(profile, this.#host);
    const missing = agentCalls(this.#host.cgroupVersion).filter((name) => !lets(rules, name));
    if (missing.length === 0) return { sandbox: await encoded(rules) };
    // The agent does without this one.
    if (mayGainPrivileges && missing.every((name) => name === "clone3")) return { sandbox: await encoded(rules) };
    if (mayGainPrivileges) throw needed(missing);
    const [sandbox, commands] = await Promise.all([encoded(letting(rules, missing)), encoded(onlyOf(rules, missing))]);
    return { sandbox, commands };
  }
}

const encoded = async (rules: CallRules): Promise<string> => (await compileFilter(rules)).toString("base64");

/** Who may gain privileges cannot install a filter of its own, so the one of all must suit the agent. */
function needed(names: readonly string[]): PlyboxError {
  const shown = names.slice(0, 5).join(", ");
  const message = `with allowPrivilegeEscalation the profile must let through what the agent needs: ${shown}`;
  return new PlyboxError("input/invalid", names.length > 5 ? `${message} and ${names.length - 5} more` : message, {
    field: "seccomp",
  });
}
