import type { Running } from "../backends/backend.ts";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import type { LayerLease } from "../layers/layer-leases.ts";
import type { PlyboxError } from "../model/errors.ts";
import type { Sandbox } from "../model/sandbox.ts";
import { AgentLink } from "../wire/agent-link.ts";
import { isViolation } from "../wire/peer-errors.ts";
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
  readonly #patienceMs: number | undefined;
  readonly #misconduct = new WeakMap<Running, Deferred<PlyboxError>>();

  /** @param patienceMs how long its agent may take to answer; as AgentLink has it by default */
  constructor(sandbox: Sandbox, patienceMs?: number) {
    this.sandbox = sandbox;
    this.#patienceMs = patienceMs;
  }

  /** The connection to the agent; made anew where the last one has ended. Throws `agent/unreachable`. */
  agent(running: Running): Promise<AgentLink> {
    this.#link ??= this.#share(running);
    return this.#link;
  }

  /** Whoever waits for an answer on the connection that all share gets `reason`, where one is given. */
  closeLink(reason?: PlyboxError): void {
    this.#link?.then(
      (link) => link.close(reason),
      () => {},
    );
    this.#link = undefined;
  }

  /** A connection of the caller's own, which the caller closes. Throws `agent/unreachable`. */
  async connect(running: Running, memory?: ReceiveMemory): Promise<AgentLink> {
    const { id, incarnation } = this.sandbox;
    const stream = await running.connect(memory?.receiver());
    const link = new AgentLink(stream, id, incarnation, { memory, patienceMs: this.#patienceMs });
    void link.ended.then((error) => {
      if (isViolation(error)) this.#misconductOf(running).resolve(error);
    });
    return link;
  }

  /** Resolves when the agent breaks the protocol on any of its connections, with what it did; mostly never. */
  misconduct(running: Running): Promise<PlyboxError> {
    return this.#misconductOf(running).promise;
  }

  #misconductOf(running: Running): Deferred<PlyboxError> {
    const known = this.#misconduct.get(running) ?? deferred<PlyboxError>();
    this.#misconduct.set(running, known);
    return known;
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
