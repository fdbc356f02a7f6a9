import { PlyboxError } from "../model/errors.ts";
import type { SandboxName } from "../model/ids.ts";
import { DEFAULT_TENANT } from "../model/principal.ts";
import type { LiveSandbox } from "./live-sandbox.ts";

/** The sandboxes of this process, found by id or by name. Each tenant has names of its own. */
export class LiveSandboxes {
  readonly #byId = new Map<string, LiveSandbox>();
  readonly #byName = new Map<string, LiveSandbox>();

  /** Oldest first. */
  all(): readonly LiveSandbox[] {
    return [...this.#byId.values()];
  }

  /** Also one that is being removed. */
  get(id: string): LiveSandbox | undefined {
    return this.#byId.get(id);
  }

  /** @throws PlyboxError `sandbox/not-found`, also for one that is being removed */
  find(ref: string, tenant = DEFAULT_TENANT): LiveSandbox {
    const live = this.#byId.get(ref) ?? this.#byName.get(keyOf(tenant, ref));
    if (live === undefined || live.sandbox.state.kind === "destroyed") {
      throw new PlyboxError("sandbox/not-found", `there is no sandbox ${JSON.stringify(ref.slice(0, 80))}`);
    }
    return live;
  }

  /** @throws PlyboxError `sandbox/name-taken` */
  requireFree(name: SandboxName, tenant: string): void {
    if (!this.#byName.has(keyOf(tenant, name))) return;
    throw new PlyboxError("sandbox/name-taken", `a sandbox called ${name} exists`, { field: "name" });
  }

  add(live: LiveSandbox): void {
    const { id, name, tenant } = live.sandbox;
    this.#byId.set(id, live);
    if (name !== null) this.#byName.set(keyOf(tenant, name), live);
  }

  /** Finds a sandbox by the name that it has now, and no longer by `before`. */
  rename(live: LiveSandbox, before: SandboxName | null): void {
    const { name, tenant } = live.sandbox;
    if (before !== null) this.#byName.delete(keyOf(tenant, before));
    if (name !== null) this.#byName.set(keyOf(tenant, name), live);
  }

  delete(live: LiveSandbox): void {
    const { id, name, tenant } = live.sandbox;
    this.#byId.delete(id);
    if (name !== null) this.#byName.delete(keyOf(tenant, name));
  }
}

const keyOf = (tenant: string, name: string): string => `${tenant}/${name}`;
