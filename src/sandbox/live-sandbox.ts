import type { Running } from "../backends/backend.ts";
import type { LayerLease } from "../layers/layer-store.ts";
import type { Sandbox } from "../model/sandbox.ts";
import { AgentLink } from "../wire/agent-link.ts";
import type { ReceiveMemory } from "../wire/receive-memory.ts";
import { Activity } from "./activity.ts";

/** A sandbox of this process, with what it holds while it runs. */
export class LiveSandbox {
  /** As the registry has it; replaced at each transition. */
  sandbox: Sandbox;
  readonly activity = new Activity();
  lease: LayerLease | undefined;
  running: Running | undefined;
  /** The one removal that all who ask for it share. */
  removal: Promise<void> | undefined;
  #link: Promise<AgentLink> | undefined;

  constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
  }

  /** The connection to the agent; made anew where the last one has ended. Throws `agent/unreachable`. */
  agent(running: Running): Promise<AgentLink> {
    this.#link ??= this.#share(running);
    return this.#link;
  }

  closeLink(): void {
    this.#link?.then(
      (link) => link.close(),
      () => {},
    );
    this.#link = undefined;
  }

  /** A connection of the caller's own, which the caller closes. Throws `agent/unreachable`. */
  async connect(running: Running, memory?: ReceiveMemory): Promise<AgentLink> {
    const { id, incarnation } = this.sandbox;
    return new AgentLink(await running.connect(memory?.receiver()), id, incarnation, memory);
  }

  #share(running: Running): Promise<AgentLink> {
    const link = this.connect(running);
    const forget = () => {
      if (this.#link === link) this.#link = undefined;
    };
    link.then(({ ended }) => ended.then(forget), forget);
    return link;
  }
}
