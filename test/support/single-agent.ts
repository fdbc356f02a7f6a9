import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

const PROGRAM = join(import.meta.dirname, "../../build/plyagent");
/**
 * The same agent built for another processor, which QEMU emulates for one process and all that it forks. As process 1 of
 * a namespace: QEMU's user mode refuses to make it a subreaper, and orphans have to come to it.
 */
export const AARCH64_AGENT = [
  "unshare",
  "--pid",
  "--fork",
  "--kill-child",
  "--mount-proc",
  "qemu-aarch64-static",
  join(import.meta.dirname, "../../build/aarch64/plyagent"),
] as const;

/** `plyagent --single` as an ordinary process of this machine, with a work directory of its own. */
export class SingleAgent implements AsyncDisposable {
  /** Where each execution gets its directory. */
  readonly work: string;
  readonly #process: ChildProcess;
  readonly #exit: Promise<readonly [code: number | null, signal: string | null]>;

  private constructor(work: string, command: Command, stdio: "ignore" | "pipe") {
    this.work = work;
    const [program, ...args] = command;
    this.#process = spawn(program, args, { cwd: "/", stdio: [stdio, stdio, "inherit"] });
    this.#exit = once(this.#process, "exit") as Promise<[number | null, string | null]>;
  }

  /** Listens on a Unix socket by the time this resolves. */
  static async start(...args: readonly string[]): Promise<SingleAgent> {
    const work = await makeWorkDirectory();
    const command = [...single([PROGRAM], work), "--unix", join(work, "agent.sock"), ...args] as const;
    const agent = new SingleAgent(work, command, "ignore");
    (await agent.connect()).destroy();
    return agent;
  }

  /** Serves one connection, over its standard input and output. `command` is what starts the agent. */
  static async overStdio(command: Command = [PROGRAM]): Promise<{ agent: SingleAgent; stream: Duplex }> {
    const work = await makeWorkDirectory();
    const agent = new SingleAgent(work, [...single(command, work), "--stdio"], "pipe");
    const { stdin, stdout } = agent.#process as { stdin: Writable; stdout: Readable };
    return { agent, stream: Duplex.from({ writable: stdin, readable: stdout }) };
  }

  async connect(): Promise<Socket> {
    for (;;) {
      const socket = connect(join(this.work, "agent.sock"));
      try {
        await once(socket, "connect");
        return socket;
      } catch (error) {
        // Until it listens nobody answers; where it never will it has ended.
        if (this.#process.exitCode !== null) throw error;
        await delay(1);
      }
    }
  }

  /** Resolves with the exit code when it has ended by itself or by `end`. */
  async exited(): Promise<number | null> {
    return (await this.#exit)[0];
  }

  /** Asks it to end, and resolves with the exit code. */
  end(): Promise<number | null> {
    this.#process.kill("SIGTERM");
    return this.exited();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exit;
    await rm(this.work, { recursive: true, force: true });
  }
}

type Command = readonly [program: string, ...args: string[]];

const single = (command: Command, work: string) => [...command, "--single", "--work-directory", work] as const;

/** Programs that are nobody's go through it. */
async function makeWorkDirectory(): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), "plybox-single-"));
  await chmod(work, 0o711);
  return work;
}
