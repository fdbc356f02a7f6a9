import { PlyboxError } from "../model/errors.ts";
import type { SandboxName } from "../model/ids.ts";
import type { LiveSandbox } from "./live-sandbox.ts";

/** The sandboxes of this process, found by id or by name. */
export class LiveSandboxes {
  readonly #byId = new Map<string, LiveSandbox>();
  readonly #byName = new Map<string, LiveSandbox>();

  /** Oldest first. */
  all(): readonly LiveSandbox[] {
    return [...this.#byId.values()];
  }

  /** @throws PlyboxError `sandbox/not-found`, also for one that is being removed */
  find(ref: string): LiveSandbox {
    const live = this.#byId.get(ref) ?? this.#byName.get(ref);
    if (live === undefined || live.sandbox.state.kind === "destroyed") {
      throw new PlyboxError("sandbox/not-found", `there is no sandbox ${JSON.stringify(ref.slice(0, 80))}`);
    }
    return live;
  }

  /** @throws PlyboxError `sandbox/name-taken` */
  requireFree(name: SandboxName): void {
    if (!this.#byName.has(name)) return;
    throw new PlyboxError("sandbox/name-taken", `a sandbox called ${name} exists`, { field: "name" });
  }

  add(live: LiveSandbox): void {
    const { id, name } = live.sandbox;
    this.#byId.set(id, live);
    if (name !== null) this.#byName.set(name, live);
  }

  delete(live: LiveSandbox): void {
    const { id, name } = live.sandbox;
    this.#byId.delete(id);
    if (name !== null) this.#byName.delete(name);
  }
}
