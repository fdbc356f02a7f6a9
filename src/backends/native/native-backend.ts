import type { Socket } from "node:net";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { PlyboxError } from "../../model/errors.ts";
import type { Ground, LaunchPlan } from "../../model/launch-plan.ts";
import type { NativeLauncher, ProcessName, Remains, SandboxExit } from "../../native/launcher.ts";
import type { Receiver } from "../../wire/receive-memory.ts";
import type { AgentSocket, Backend, Capabilities, DiscardOptions, Running, Traces } from "../backend.ts";
import { cgroupTasks } from "./cgroup-usage.ts";
import type { Freezer, FreezerPlace } from "./freezer.ts";
import { freezerOf, killAll } from "./freezer.ts";
import { killAgents } from "./lone-agents.ts";
import { sandboxUsage } from "./sandbox-usage.ts";

const PROBES = [
  { what: "namespaces", path: "/" },
  { what: "overlay", path: "/" },
] as const;

/** Namespaces, an id range, an overlay and cgroups, put together by `plylaunch`. Needs root. */
export class NativeBackend implements Backend {
  readonly name = "native";
  readonly capabilities: Capabilities;
  readonly #launcher: NativeLauncher;
  readonly #freezer: FreezerPlace | undefined;

  /** @param freezer how processes are frozen on this machine; without it nothing can be paused */
  constructor(launcher: NativeLauncher, freezer?: FreezerPlace) {
    this.#launcher = launcher;
    this.#freezer = freezer;
    this.capabilities = {
      isolation: "process",
      egress: "none",
      pause: freezer !== undefined,
      memorySnapshot: false,
      liveLayers: freezer !== undefined,
    };
  }

  async probe(): Promise<readonly string[]> {
    const reasons: string[] = [];
    for (const { what, path } of PROBES) {
      await this.#launcher.probe(what, path).catch((error: Error) => reasons.push(`${what}: ${error.message}`));
    }
    return reasons;
  }

  async launch(plan: LaunchPlan, listening?: (socket: AgentSocket) => void): Promise<Running> {
    const announce = () => listening?.(socketOf(plan));
    const { pid, startTime, steps, exited } = await this.#launcher.launch(plan, announce);
    return this.#running(plan, { pid, startTime }, steps, exited);
  }

  async expect(ground: Ground): Promise<void> {
    await this.#launcher.expect(ground);
  }

  async adopt(plan: LaunchPlan, process: ProcessName): Promise<Running | undefined> {
    const adopted = await this.#launcher.adopt(process);
    return adopted && this.#running(plan, process, "", adopted.exited);
  }

  async discard(traces: Traces, options: DiscardOptions = {}): Promise<void> {
    for (const { path } of traces.cgroups) killAll(path);
    if (traces.cgroups.length === 0) killAgents(traces.id);
    await this.#destroy(traces, undefined, options.keepUpper === true);
  }

  async close(): Promise<void> {
    await this.#launcher.close();
  }

  #running(plan: LaunchPlan, process: ProcessName, steps: string, exited: Promise<SandboxExit>): Running {
    let disposal: Promise<void> | undefined;
    const freezer = this.#freezerOf(plan);
    return {
      process,
      steps,
      exited,
      ...socketOf(plan),
      usage: sandboxUsage(plan, process.pid),
      tasks: cgroupTasks(plan.cgroups),
      pause: async () => (freezer ?? cannotFreeze()).freeze(),
      resume: async () => freezer?.thaw(),
      graft: (graft) => this.#launcher.graft(process, graft),
      end: () => this.#destroy(plan, process, true),
      [Symbol.asyncDispose]: () => {
        // One that failed may be tried again.
        disposal ??= this.#destroy(plan, process, false).catch((error) => {
          disposal = undefined;
          throw error;
        });
        return disposal;
      },
    };
  }

  #freezerOf(traces: Traces): Freezer | undefined {
    return freezerOf(traces, this.#freezer, (step) => this.#launcher.requireNoFault(step));
  }

  async #destroy(traces: Traces, process: ProcessName | undefined, keepUpper: boolean): Promise<void> {
    const freezer = this.#freezerOf(traces);
    freezer?.kill();
    await this.#launcher.destroy(process, remainsOf(traces, freezer?.cgroup, keepUpper));
  }
}

function cannotFreeze(): never {
  throw new PlyboxError("host/missing", "this machine has no freezer, so a sandbox cannot be paused");
}

/** What is to be taken off the host. What an upper on disk holds may be large, and is its owner's to remove. */
function remainsOf(traces: Traces, freezer: string | undefined, keepUpper: boolean): Remains {
  const { cgroups, root, agent } = traces;
  const { kind, path } = root.upper;
  // A tmpfs that is unmounted is gone; an image is at rest then, and whole.
  const unmount = kind === "image" || (kind === "tmpfs" && !keepUpper) ? [path] : [];
  return {
    cgroups: [...cgroups.map((cgroup) => cgroup.path), ...(freezer === undefined ? [] : [freezer])],
    unmount,
    remove: [...unmount, agent.socket],
  };
}

function socketOf({ agent }: LaunchPlan): AgentSocket {
  return { connect: (receiver) => connectTo(agent.socket, receiver) };
}

function connectTo(path: string, receiver?: Receiver): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = receiver === undefined ? connect(path) : connectReceiving(path, receiver);
    const fail = (cause: Error) =>
      reject(new PlyboxError("agent/unreachable", `the agent cannot be reached: ${cause.message}`, { cause }));
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.off("error", fail);
      resolve(socket);
    });
  });
}

/** Node reads into memory that it is given, and then has no `data` events of its own. */
function connectReceiving(path: string, receiver: Receiver): Socket {
  const socket: Socket = connect({
    path,
    onread: {
      buffer: () => receiver.room(),
      callback(size, room) {
        receiver.received(size);
        return socket.emit("data", room.subarray(0, size));
      },
    },
  });
  return socket.once("close", () => receiver.close());
}
