import type { Duplex } from "node:stream";
import type { Graft } from "../model/graft.ts";
import type { CgroupPlan, Ground, LaunchPlan, UpperMount } from "../model/launch-plan.ts";
import type { Usage } from "../model/usage.ts";
import type { ProcessName, SandboxExit } from "../native/launcher.ts";
import type { Receiver } from "../wire/receive-memory.ts";

export type BackendName = "native";

/** What a backend can do; what it cannot is refused before anything is started. */
export interface Capabilities {
  readonly isolation: "none" | "process" | "kernel-filter" | "user-kernel" | "hardware";
  readonly egress: "none" | "l3" | "l7";
  readonly pause: boolean;
  readonly memorySnapshot: boolean;
  readonly liveLayers: boolean;
}

/** Starts and isolates agents, and nothing else: what is done in a sandbox is the agent's protocol. */
export interface Backend {
  readonly name: BackendName;
  readonly capabilities: Capabilities;
  /** Why this host cannot run it; empty when it can. */
  probe(): Promise<readonly string[]>;
  /**
   * Resolves when the agent has been entered; nothing is left of a launch that fails. Throws `launcher/failed`.
   * @param listening called when connections to the agent can be made; they wait until it runs, and end where it never does
   */
  launch(plan: LaunchPlan, listening?: (socket: AgentSocket) => void): Promise<Running>;
  /** Lets the next launch be begun ahead where its plan has this ground. Whatever is launched instead is no error. */
  expect(ground: Ground): Promise<void>;
  /** Takes over what another daemon launched by this plan; undefined when its processes are gone. */
  adopt(plan: LaunchPlan, process: ProcessName): Promise<Running | undefined>;
  /** Takes away what a sandbox without known processes has left on the host, and ends those that its cgroups hold. */
  discard(traces: Traces, options?: DiscardOptions): Promise<void>;
  close(): Promise<void>;
}

/** What a sandbox has on the host, as far as it is not mounted in its own namespaces. */
export interface Traces extends Pick<LaunchPlan, "id" | "agent"> {
  readonly cgroups: readonly Pick<CgroupPlan, "path">[];
  readonly root: { readonly upper: Pick<UpperMount, "kind" | "path"> };
}

export interface DiscardOptions {
  /** Whether what the sandbox wrote stays, for another launch. */
  readonly keepUpper?: boolean;
}

/** Where an agent is reached. */
export interface AgentSocket {
  /**
   * A byte stream to the agent; may be called again. Throws `agent/unreachable`.
   * @param receiver where its data may come; what is not held there is overwritten by what comes next
   */
  connect(receiver?: Receiver): Promise<Duplex>;
}

/** A sandbox that runs. Disposing of it ends its processes and takes everything of it off the host. */
export interface Running extends AgentSocket, AsyncDisposable {
  readonly process: ProcessName;
  /** How long each step of the launch took: `NAME:MICROSECONDS`, with spaces between; empty for one that was adopted. */
  readonly steps: string;
  /** How its PID 1 ended; never rejects. */
  readonly exited: Promise<SandboxExit>;
  /** What it takes from the machine now: plain reads, in microseconds. Of one that has ended, what is still counted. */
  usage(): Usage;
  /** How many tasks it has now, with its agent's; null where nobody counts them. */
  tasks(): number | null;
  /** Resolves when each of its processes is frozen. Harmless when they are. Throws `host/missing`, `launcher/failed`. */
  pause(): Promise<void>;
  /** Resolves when they go on. Harmless when they do. */
  resume(): Promise<void>;
  /**
   * Mounts directories of a layer in it, which nothing may run in meanwhile; what is mounted is left as it is, and nothing
   * is left of what fails. Throws `launcher/failed`.
   */
  graft(graft: Graft): Promise<void>;
  /** Ends its processes, also frozen ones, and takes everything off the host but what it wrote. */
  end(): Promise<void>;
}
