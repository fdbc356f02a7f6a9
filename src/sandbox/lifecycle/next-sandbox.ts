import type { SandboxId } from "../../model/ids.ts";
import { newSandboxId } from "../../model/ids.ts";
import { planGround } from "../launch-plan.ts";
import type { SandboxServiceOptions } from "./context.ts";

/** What a sandbox has whatever it is made for. */
export interface Identity {
  readonly id: SandboxId;
  /** First host id of its range. */
  readonly idBase: number;
}

/** The identity of the sandbox that is made next: known before, so that the backend can begin it while nobody waits. */
export class NextSandbox {
  readonly #options: SandboxServiceOptions;
  #reserved: Identity | undefined;
  #isClosed = false;

  constructor(options: SandboxServiceOptions) {
    this.#options = options;
  }

  /**
   * The identity of a new sandbox; its ids are to be given back.
   * @throws PlyboxError `sandbox/too-many`
   */
  take(): Identity {
    const taken = this.#reserved ?? this.#draw();
    this.#reserved = undefined;
    return taken;
  }

  /** Gives an identity back of which nothing has been made. */
  putBack(identity: Identity): void {
    if (this.#reserved === undefined && !this.#isClosed) this.#reserved = identity;
    else this.#options.ids.giveBack(identity.idBase);
  }

  /** Draws one where none is drawn, when what is under way now has been answered. */
  reserve(): void {
    if (!this.#options.dieWithLauncher) setImmediate(() => this.#reserve());
  }

  /** Gives back what nobody has taken. Nothing is reserved any more. */
  close(): void {
    this.#isClosed = true;
    if (this.#reserved !== undefined) this.#options.ids.giveBack(this.#reserved.idBase);
    this.#reserved = undefined;
  }

  #reserve(): void {
    if (this.#isClosed || this.#reserved !== undefined) return;
    const { backend, ids, places, log } = this.#options;
    try {
      this.#reserved = this.#draw();
    } catch {
      // All ids are in use. Whoever asks is told so.
      return;
    }
    const ground = planGround(this.#reserved, places, ids.size);
    backend.expect(ground).catch((err: unknown) => log.debug({ err }, "the next sandbox cannot be begun ahead"));
  }

  #draw(): Identity {
    return { idBase: this.#options.ids.take(), id: newSandboxId() };
  }
}
