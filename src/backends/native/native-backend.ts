import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { PlyboxError } from "../../model/errors.ts";
import type { LaunchPlan, LaunchStep } from "../../model/launch-plan.ts";
import type { NativeLauncher, ProcessName, Remains, SandboxExit } from "../../native/launcher.ts";
import type { Backend, Capabilities, Running } from "../backend.ts";
import { sandboxUsage } from "./sandbox-usage.ts";

const PROBES = [
  { what: "namespaces", path: "/" },
  { what: "overlay", path: "/" },
] as const;

/** Namespaces, an id range, an overlay and cgroups, put together by `plylaunch`. Needs root. */
export class NativeBackend implements Backend {
  readonly name = "native";
  readonly capabilities: Capabilities = {
    isolation: "process",
    egress: "none",
    pause: false,
    memorySnapshot: false,
    liveLayers: false,
  };
  readonly #launcher: NativeLauncher;

  constructor(launcher: NativeLauncher) {
    this.#launcher = launcher;
  }

  async probe(): Promise<readonly string[]> {
    const reasons: string[] = [];
    for (const { what, path } of PROBES) {
      await this.#launcher.probe(what, path).catch((error: Error) => reasons.push(`${what}: ${error.message}`));
    }
    return reasons;
  }

  async launch(plan: LaunchPlan): Promise<Running> {
    const { pid, startTime, steps, exited } = await this.#launcher.launch(plan);
    return this.#running(plan, { pid, startTime }, steps, exited);
  }

  async adopt(plan: LaunchPlan, process: ProcessName): Promise<Running | undefined> {
    const adopted = await this.#launcher.adopt(process);
    return adopted && this.#running(plan, process, [], adopted.exited);
  }

  async discard(plan: LaunchPlan): Promise<void> {
    for (const { path } of plan.cgroups) killAll(path);
    await this.#launcher.destroy(undefined, remainsOf(plan));
  }

  async close(): Promise<void> {
    await this.#launcher.close();
  }

  #running(
    plan: LaunchPlan,
    process: ProcessName,
    steps: readonly LaunchStep[],
    exited: Promise<SandboxExit>,
  ): Running {
    let disposal: Promise<void> | undefined;
    return {
      process,
      steps,
      exited,
      connect: () => connectTo(plan.agent.socket),
      usage: sandboxUsage(plan, process.pid),
      [Symbol.asyncDispose]: () => {
        disposal ??= this.#launcher.destroy(process, remainsOf(plan));
        return disposal;
      },
    };
  }
}

/** What a plan's sandbox has on the host. What a disk upper holds may be large, and is its owner's to remove. */
function remainsOf({ cgroups, root: { upper }, agent: { socket } }: LaunchPlan): Remains {
  const isMounted = upper.kind === "tmpfs";
  return {
    cgroups: cgroups.map(({ path }) => path),
    unmount: isMounted ? [upper.path] : [],
    remove: [...(isMounted ? [upper.path] : []), socket],
  };
}

function connectTo(path: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const fail = (cause: Error) =>
      reject(new PlyboxError("agent/unreachable", `the agent cannot be reached: ${cause.message}`, { cause }));
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.off("error", fail);
      resolve(socket);
    });
  });
}

/** Kills what a cgroup and those below it hold; one that is gone holds nothing. */
function killAll(cgroup: string): void {
  let entries: { readonly name: string; isDirectory(): boolean }[];
  try {
    entries = readdirSync(cgroup, { withFileTypes: true });
  } catch {
    return;
  }
  for (const entry of entries) if (entry.isDirectory()) killAll(join(cgroup, entry.name));
  for (const pid of pidsOf(cgroup)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

function pidsOf(cgroup: string): number[] {
  try {
    return readFileSync(join(cgroup, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
