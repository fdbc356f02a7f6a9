import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { deferred } from "../base/deferred.ts";
import type { PoolStep } from "../model/checkpoint.ts";
import { PlyboxError } from "../model/errors.ts";
import type { Graft } from "../model/graft.ts";
import type { Ground, LaunchPlan } from "../model/launch-plan.ts";
import type { ImageFormat } from "../model/layer.ts";
import type { LaunchAck, LauncherRequest, ProcessName, SandboxExit } from "../wire/launcher-messages.ts";
import { readLaunchAck, readLaunchProgress, readSandboxExit } from "../wire/launcher-messages.ts";
import { Link, unexpected } from "../wire/link.ts";
import { readEmpty } from "../wire/messages.ts";
import { PeerRefusal } from "../wire/peer-errors.ts";
import type { Reader } from "../wire/strict-reader.ts";
import { nativeProgram } from "./programs.ts";

export type { ProcessName, SandboxExit } from "../wire/launcher-messages.ts";

/** Tests only: names the step that is to fail of what is done now, if any. */
export type FaultAt = (doing: "launch" | "destroy" | "freeze") => string | undefined;

export interface LauncherOptions {
  /** Mounts are seen by nobody else and end with the launcher: `plylaunch --private`. */
  readonly private: boolean;
  /** It is root of a user namespace alone: `plylaunch --rootless`. */
  readonly rootless?: boolean;
  /** The start of a command line that makes what follows root of a user namespace. */
  readonly within?: readonly string[];
  /** Admits `failAt` in plans too. */
  readonly failAt?: FaultAt;
  /** Tests only: the program that is every sandbox's PID 1 in the agent's place. */
  readonly agentProgram?: string;
}

/** What of a sandbox is on the host, for `destroy`: absolute paths. */
export interface Remains {
  readonly cgroups: readonly string[];
  readonly unmount: readonly string[];
  /** Files and empty directories, in the order of removal. */
  readonly remove: readonly string[];
}

export interface Launched extends LaunchAck {
  /** How its PID 1 ended; never rejects. */
  readonly exited: Promise<SandboxExit>;
}

/** Nobody saw how it ended: it did so while no launcher watched, or the watching itself failed. */
const UNSEEN: SandboxExit = { code: null, signal: null };

type LauncherProcess = ChildProcessByStdio<Writable, Readable, null>;

/**
 * The `plylaunch` of this process: started when it is first needed, and again when it died; sandboxes outlive it.
 * Every method throws PlyboxError `launcher/failed` with the native step and errno, or `host/missing`.
 */
export class NativeLauncher {
  readonly #options: LauncherOptions;
  #process: LauncherProcess | undefined;
  #link: Link | undefined;
  #expected: Ground | undefined;
  #starts = 0;
  #isClosed = false;

  constructor(options: LauncherOptions) {
    this.#options = options;
  }

  /** How often it had to be started anew. */
  get restarts(): number {
    return Math.max(0, this.#starts - 1);
  }

  /** Host pid of the launcher that runs now. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts the launcher, so that the first sandbox does not wait for it. */
  async start(): Promise<void> {
    await this.#connected().hello;
  }

  /**
   * Builds a sandbox; resolves when its agent's program has been entered.
   * @param listening called when the agent's socket takes connections, which wait there until the agent runs
   */
  async launch(plan: LaunchPlan, listening?: () => void): Promise<Launched> {
    if (plan.ids.base === this.#expected?.ids.base) this.#expected = undefined;
    const { ack, exited } = await this.#watch({ type: "launch", plan }, readLaunchAck, listening);
    return { ...ack, exited: this.#outlive(ack, exited) };
  }

  /** Begins a sandbox on this ground ahead, when there is nothing else to do; also if it has to be started anew. */
  async expect(ground: Ground): Promise<void> {
    // One that has to be started anew hears first of what its predecessor may have begun, which it takes away then.
    this.#connected();
    this.#expected = ground;
    await this.#request({ type: "expect", ...ground });
  }

  /** Watches a PID 1 that another launcher started; undefined when it is gone. */
  async adopt(process: ProcessName): Promise<{ readonly exited: Promise<SandboxExit> } | undefined> {
    const { pid, startTime } = process;
    try {
      const { exited } = await this.#watch({ type: "adopt", pid, startTime }, readEmpty);
      return { exited: this.#outlive(process, exited) };
    } catch (error) {
      if (refusalCode(error) === "not-found") return undefined;
      throw error;
    }
  }

  /** Ends a process, where there is one, and takes away what remains on the host. */
  async destroy(process: ProcessName | undefined, remains: Remains): Promise<void> {
    const { pid, startTime } = process ?? { pid: 0, startTime: 0 };
    const { cgroups, unmount, remove } = remains;
    const [, failAt] = this.#options.failAt?.("destroy")?.split("destroy:") ?? [];
    const fault = failAt === undefined ? {} : { failAt };
    await this.#requestTwice({ type: "destroy", pid, startTime, cgroups, unmount, remove, ...fault });
  }

  /** Tests only: throws where this step of what the daemon does itself is to fail. */
  requireNoFault(step: string): void {
    if (this.#options.failAt?.("freeze") !== step) return;
    throw new PlyboxError("launcher/failed", `${step}: made to fail`, { step, errno: "EIO" });
  }

  get private(): boolean {
    return this.#options.private;
  }

  async mountImage({ image, format, target }: { image: string; format: ImageFormat; target: string }): Promise<void> {
    await this.#request({ type: "mount-image", image, format, target });
  }

  /** Mounts a tmpfs of so many bytes; harmless where one is mounted. */
  async mountMemory(target: string, bytes: number): Promise<void> {
    await this.#requestTwice({ type: "mount-memory", target, bytes });
  }

  /** Mounts the pool of subvolumes in an image; harmless where it is mounted. */
  async mountPool(image: string, target: string): Promise<void> {
    await this.#requestTwice({ type: "mount-pool", image, target });
  }

  /** Does the steps in order; the first failure ends it, and what was done before stays. */
  async subvolumes(steps: readonly PoolStep[]): Promise<void> {
    await this.#request({ type: "subvolumes", steps });
  }

  /** Mounts directories of a layer in a sandbox that stands still; harmless where they are mounted. */
  async graft(process: ProcessName, graft: Graft): Promise<void> {
    const { pid, startTime } = process;
    await this.#requestTwice({ type: "graft", pid, startTime, ...graft });
  }

  async unmount(target: string): Promise<void> {
    await this.#requestTwice({ type: "unmount", target });
  }

  async probe(what: "idmap" | "overlay" | "namespaces" | "loop" | "landlock", path: string): Promise<void> {
    await this.#request({ type: "probe", what, path });
  }

  /** Ends the launcher; sandboxes stay, but for those that were planned to die with it. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const process = this.#process;
    if (process === undefined) return;
    const ended = deferred();
    // Without a pid it could not even be started, and will not exit.
    if (process.pid === undefined || process.exitCode !== null || process.signalCode !== null) ended.resolve();
    else process.once("exit", () => ended.resolve());
    this.#link?.close();
    await ended.promise;
  }

  #connected(): Link {
    if (this.#link !== undefined) return this.#link;
    if (this.#isClosed) throw new PlyboxError("launcher/failed", "the launcher has been closed");
    const options = [
      ...(this.#options.private ? ["--private"] : []),
      ...(this.#options.rootless ? ["--rootless"] : []),
      ...(this.#options.failAt ? ["--allow-fault-injection"] : []),
    ];
    const agent = this.#options.agentProgram ?? nativeProgram("plyagent");
    const launcher = [nativeProgram("plylaunch"), "--agent", agent, ...options];
    const [program = "", ...words] = [...(this.#options.within ?? []), ...launcher];
    const child = spawn(program, words, {
      stdio: ["pipe", "pipe", "inherit"],
      // What the daemon's environment holds is nobody else's.
      env: {},
    });
    child.on("error", () => {});
    const link = new Link({ input: child.stdout, output: child.stdin, peer: "launcher", sandbox: "", incarnation: 0 });
    this.#process = child;
    this.#link = link;
    this.#starts += 1;
    if (this.#expected !== undefined) link.request({ type: "expect", ...this.#expected }, readEmpty).catch(() => {});
    void link.ended.then(() => {
      if (this.#link === link) this.#link = undefined;
    });
    return link;
  }

  async #request(request: LauncherRequest): Promise<void> {
    await this.#connected().request(request, readEmpty);
  }

  /** What is done already counts as done, so the next launcher is asked where one died meanwhile. */
  async #requestTwice(request: LauncherRequest): Promise<void> {
    try {
      await this.#request(request);
    } catch (error) {
      if (this.#isClosed || refusalCode(error) !== undefined) throw error;
      await this.#request(request);
    }
  }

  /** A request whose channel stays open until the process has ended. `exited` rejects when the link ends first. */
  async #watch<T>(
    request: LauncherRequest,
    read: Reader<T>,
    listening?: () => void,
  ): Promise<{ ack: T; exited: Promise<SandboxExit> }> {
    const answered = deferred<T>();
    const exited = deferred<SandboxExit>();
    exited.promise.catch(() => {});
    this.#connected().open(request, {
      receive(frame) {
        if (frame.kind === "ack") answered.resolve(read(frame.json, "ack"));
        else if (frame.kind === "exit") exited.resolve(readSandboxExit(frame.json, "exit"));
        else if (frame.kind !== "progress") throw unexpected(frame);
        else if (readLaunchProgress(frame.json, "progress").listening) listening?.();
      },
      fail(error) {
        answered.reject(error);
        exited.reject(error);
      },
    });
    return { ack: await answered.promise, exited: exited.promise };
  }

  /** The end of a process also when its launcher dies before: the next launcher watches on. */
  async #outlive(process: ProcessName, exited: Promise<SandboxExit>): Promise<SandboxExit> {
    try {
      return await exited;
    } catch {
      if (this.#isClosed) return new Promise(() => {});
    }
    try {
      return (await (await this.adopt(process))?.exited) ?? UNSEEN;
    } catch {
      return this.#isClosed ? new Promise(() => {}) : UNSEEN;
    }
  }
}

function refusalCode(error: unknown): string | undefined {
  return error instanceof PlyboxError && error.cause instanceof PeerRefusal ? error.cause.code : undefined;
}
