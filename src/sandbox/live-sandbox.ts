import type { Running } from "../backends/backend.ts";
import type { LayerLease } from "../layers/layer-store.ts";
import type { Sandbox } from "../model/sandbox.ts";
import { AgentLink } from "../wire/agent-link.ts";

/** A sandbox of this process, with what it holds while it runs. */
export class LiveSandbox {
  /** As the registry has it; replaced at each transition. */
  sandbox: Sandbox;
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
    this.#link ??= this.#connect(running);
    return this.#link;
  }

  closeLink(): void {
    this.#link?.then(
      (link) => link.close(),
      () => {},
    );
    this.#link = undefined;
  }

  #connect(running: Running): Promise<AgentLink> {
    const { id, incarnation } = this.sandbox;
    const link = running.connect().then((stream) => new AgentLink(stream, id, incarnation));
    const forget = () => {
      if (this.#link === link) this.#link = undefined;
    };
    link.then(({ ended }) => ended.then(forget), forget);
    return link;
  }
}
