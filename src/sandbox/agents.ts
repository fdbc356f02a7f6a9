import type { EventBody } from "../model/event.ts";
import type { Sandbox } from "../model/sandbox.ts";
import type { AgentLink } from "../wire/agent-link.ts";
import type { Activity } from "./activity.ts";

/** The agent of a sandbox that runs. */
export interface ActiveAgent {
  readonly agent: AgentLink;
  readonly sandbox: Sandbox;
  /** To be held while something is under way, so that the sandbox does not count as idle. */
  readonly activity: Activity;
}

/**
 * The way to the agents: whatever is done inside a sandbox stands on it. `ref` is an id or a name; `verb` says what is
 * to be done, for the message of an error. Throws `sandbox/not-found`, `sandbox/wrong-state`, `sandbox/lost`,
 * `agent/unreachable`.
 */
export interface Agents {
  /** Over the connection that everybody shares; nobody closes it. */
  agent(ref: string, verb: string): Promise<ActiveAgent>;
  /**
   * For one request of files, over a connection of its own, to be closed by the caller; until then the sandbox is not
   * idle.
   */
  fileAgent(ref: string, verb: string): Promise<ActiveAgent>;
  /** Tells those who listen to events what happened in a sandbox. */
  announce(ref: string, body: EventBody): void;
}
