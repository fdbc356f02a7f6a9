import type { AgentSocket, Running } from "../backends/backend.ts";
import type { Deferred } from "../base/deferred.ts";
import { deferred } from "../base/deferred.ts";
import type { LayerLease } from "../layers/layer-leases.ts";
import { PlyboxError } from "../model/errors.ts";
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
  #misconduct: { readonly incarnation: number; readonly found: Deferred<PlyboxError> } | undefined;

  /** @param patienceMs how long its agent may take to answer; as AgentLink has it by default */
  constructor(sandbox: Sandbox, patienceMs?: number) {
    this.sandbox = sandbox;
    this.#patienceMs = patienceMs;
  }

  /** The connection to the agent; made anew where the last one has ended. Throws `agent/unreachable`. */
  agent(socket: AgentSocket): Promise<AgentLink> {
    this.#link ??= this.#share(socket);
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
  async connect(socket: AgentSocket, memory?: ReceiveMemory): Promise<AgentLink> {
    const { id, incarnation } = this.sandbox;
    const misconduct = this.#misconductNow();
    const stream = await socket.connect(memory?.receiver());
    const link = new AgentLink(stream, id, incarnation, { memory, patienceMs: this.#patienceMs });
    void link.ended.then((error) => {
      if (isViolation(error)) misconduct.resolve(error);
    });
    return link;
  }

  /**
   * Resolves when the agent of this incarnation breaks the protocol on any of its connections, with what it did; mostly
   * never.
   */
  misconduct(): Promise<PlyboxError> {
    return this.#misconductNow().promise;
  }

  #misconductNow(): Deferred<PlyboxError> {
    const { incarnation } = this.sandbox;
    if (this.#misconduct?.incarnation !== incarnation) this.#misconduct = { incarnation, found: deferred() };
    return this.#misconduct.found;
  }

  #share(socket: AgentSocket): Promise<AgentLink> {
    const link = this.connect(socket);
    const forget = () => {
      if (this.#link === link) this.#link = undefined;
    };
    link.then(({ ended }) => ended.then(forget), forget);
    return link;
  }
}

/** What a sandbox stands on that is not being made. */
export function requireLease({ lease, sandbox }: LiveSandbox): LayerLease {
  if (lease !== undefined) return lease;
  throw new PlyboxError("internal", `${sandbox.id} stands on nothing`);
}
