import { PlyboxError } from "../model/errors.ts";
import type { SeccompPlan } from "../model/launch-plan.ts";
import type { Sandbox } from "../model/sandbox.ts";
import { agentCalls } from "./agent-calls.ts";
import { compileFilter } from "./compile.ts";
import { FilterFile } from "./filter-file.ts";
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

/** The filters of a sandbox that is to be launched; their files stay until this is disposed of. */
export interface FilterLease extends Disposable {
  /**
   * Undefined where it is to have none.
   * @throws PlyboxError `input/invalid` where the profile contradicts itself or does not let the agent live
   */
  plan(): Promise<SeccompPlan | undefined>;
}

const UNCONFINED: FilterLease = { plan: async () => undefined, [Symbol.dispose]() {} };

interface Filters {
  readonly sandbox: FilterFile;
  readonly commands?: FilterFile;
}

/** What has been compiled of one profile. */
interface Compiled {
  readonly filters: Promise<Filters>;
  leases: number;
  /** What plans have named. */
  files: readonly FilterFile[];
}

/** Compiles the profiles of sandboxes, each once, into files that launch plans name. */
export class SeccompFilters {
  readonly #host: FilterHost;
  readonly #directory: string;
  readonly #compiled = new Map<string, Compiled>();

  /** @param directory exists, and is nobody else's */
  constructor(host: FilterHost, directory: string) {
    this.#host = host;
    this.#directory = directory;
  }

  /** Compiles what most sandboxes have, so that the first does not wait for it. What fails shows where it is needed. */
  async warmUp(): Promise<void> {
    using lease = this.leaseFor({ seccomp: "default", allowPrivilegeEscalation: false });
    await lease.plan().catch(() => {});
  }

  /** Begins to compile at once what is not yet. */
  leaseFor({ seccomp, allowPrivilegeEscalation }: Confined): FilterLease {
    if (seccomp === "unconfined") return UNCONFINED;
    const key = JSON.stringify([seccomp, allowPrivilegeEscalation]);
    const compiled = this.#compiled.get(key) ?? this.#begin(key, this.#compile(seccomp, allowPrivilegeEscalation));
    compiled.leases++;
    return {
      plan: async () => this.#planOf(compiled, await compiled.filters),
      [Symbol.dispose]: () => {
        compiled.leases--;
        this.#evict();
      },
    };
  }

  #begin(key: string, filters: Promise<Filters>): Compiled {
    const compiled: Compiled = { filters, leases: 0, files: [] };
    this.#compiled.set(key, compiled);
    filters.catch(() => {
      if (this.#compiled.get(key) === compiled) this.#compiled.delete(key);
    });
    return compiled;
  }

  /** Somebody may have removed the files meanwhile, who tidies run directories. */
  #planOf(compiled: Compiled, { sandbox, commands }: Filters): SeccompPlan {
    compiled.files = commands === undefined ? [sandbox] : [sandbox, commands];
    for (const file of compiled.files) file.write();
    return { sandbox: sandbox.path, ...(commands !== undefined && { commands: commands.path }) };
  }

  /** Forgets the oldest of what nobody has a lease of, and removes what is in no other profile's plan. */
  #evict(): void {
    for (const [key, { leases, files }] of this.#compiled) {
      if (this.#compiled.size <= KEPT) return;
      if (leases > 0) continue;
      this.#compiled.delete(key);
      const kept = new Set([...this.#compiled.values()].flatMap((other) => other.files.map(({ path }) => path)));
      for (const file of files) if (!kept.has(file.path)) file.remove();
    }
  }

  /**
   * One filter holds for the agent and for all that it starts, so a command costs no installation. What the agent needs
   * and the profile refuses is let through there, and refused by a small second filter of each command.
   */
  async #compile(wanted: Wanted, mayGainPrivileges: boolean): Promise<Filters> {
    const profile = typeof wanted === "string" ? BUILT_IN_PROFILES[wanted] : await readProfile(wanted);
    const rules = resolveProfile(profile, this.#host);
    const missing = agentCalls(this.#host.cgroupVersion).filter((name) => !lets(rules, name));
    if (missing.length === 0) return { sandbox: await this.#file(rules) };
    // The agent does without this one.
    if (mayGainPrivileges && missing.every((name) => name === "clone3")) return { sandbox: await this.#file(rules) };
    if (mayGainPrivileges) throw needed(missing);
    const [sandbox, commands] = await Promise.all([
      this.#file(letting(rules, missing)),
      this.#file(onlyOf(rules, missing)),
    ]);
    return { sandbox, commands };
  }

  async #file(rules: CallRules): Promise<FilterFile> {
    return new FilterFile(this.#directory, await compileFilter(rules));
  }
}

/** Who may gain privileges cannot install a filter of its own, so the one of all must suit the agent. */
function needed(names: readonly string[]): PlyboxError {
  const shown = names.slice(0, 5).join(", ");
  const message = `with allowPrivilegeEscalation the profile must let through what the agent needs: ${shown}`;
  return new PlyboxError("input/invalid", names.length > 5 ? `${message} and ${names.length - 5} more` : message, {
    field: "seccomp",
  });
}
