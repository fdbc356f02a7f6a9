import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { PlyboxError } from "../../model/errors.ts";
import type { DialTarget, ListeningPort } from "../../model/port.ts";
import type { Agents } from "../agents.ts";

/** Listening shows soon after a start and seldom later, so waiting asks often at first. */
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 250;
const REACHABLE = /^(?:127\.|::ffff:127\.|0\.0\.0\.0$|::$|::1$)/;

/** What listens inside sandboxes. Every method throws what `Agents` does. */
export class Ports {
  readonly #agents: Agents;

  constructor(agents: Agents) {
    this.#agents = agents;
  }

  /** The TCP ports that something listens on, by number. */
  async list(ref: string): Promise<readonly ListeningPort[]> {
    const { agent } = await this.#agents.agent(ref, "list ports");
    return await agent.ports();
  }

  /**
   * A connection to what listens, which keeps the sandbox from counting as idle until it is closed.
   * @throws PlyboxError `port/unreachable`; or the signal's reason
   */
  async dial(ref: string, target: DialTarget, signal?: AbortSignal): Promise<Duplex> {
    const { agent, activity } = await this.#agents.agent(ref, "connect to a port");
    const end = activity.hold();
    try {
      const stream = await agent.dial(target, signal);
      stream.once("close", end);
      if (stream.destroyed) end();
      return stream;
    } catch (error) {
      end();
      throw error;
    }
  }

  /**
   * Resolves when something listens on a port where a dial reaches it.
   * @throws PlyboxError `port/not-ready` after `timeoutMs`; or the signal's reason
   */
  async waitFor(ref: string, port: number, options: { timeoutMs: number; signal?: AbortSignal }): Promise<void> {
    const { timeoutMs, signal } = options;
    const deadline = performance.now() + timeoutMs;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(1.5 * pauseMs, LONGEST_PAUSE_MS)) {
      if ((await this.list(ref)).some((listening) => listening.port === port && isReachable(listening))) return;
      signal?.throwIfAborted();
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new PlyboxError("port/not-ready", `nothing listens on port ${port} after ${timeoutMs} ms`);
      await delay(Math.min(pauseMs, leftMs), undefined, { ...(signal && { signal }) });
    }
  }
}

/** What is bound to another address than loopback or all of them is not reached by a dial. */
const isReachable = ({ addresses }: ListeningPort): boolean => addresses.some((address) => REACHABLE.test(address));
