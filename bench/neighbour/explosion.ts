import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Plybox, Sandbox } from "../../src/client/index.ts";
import { COMMAND } from "../repository.ts";
import type { Bomb } from "./bombs.ts";

/** How long a bomb has to get to its limit before anything is measured beside it. */
const FUSE_MS = 1000;

/** A bomb that goes off in a sandbox of its own, with the limits of a sandbox that asks for none, and again when it has ended. */
export class Explosion implements AsyncDisposable {
  readonly #sandbox: Sandbox;
  readonly #reader: ChildProcess | undefined;
  readonly #bombing: Promise<void>;
  #isOver = false;
  #fault: unknown;

  private constructor(sandbox: Sandbox, bomb: Bomb, socketPath: string) {
    this.#sandbox = sandbox;
    // In a process of its own: what it reads must not delay who measures.
    this.#reader = bomb.output === "read" ? readAll(sandbox, bomb, socketPath) : undefined;
    this.#bombing =
      this.#reader === undefined ? this.#bomb(bomb).catch((error) => this.#failed(error)) : Promise.resolve();
  }

  static async begin(plybox: Plybox, bomb: Bomb, socketPath: string): Promise<Explosion> {
    const sandbox = await plybox.create({ layers: ["host"] });
    const explosion = new Explosion(sandbox, bomb, socketPath);
    await new Promise((resolve) => setTimeout(resolve, FUSE_MS));
    return explosion;
  }

  /** One that its limit has ended is set off again. One that floods goes on by itself. */
  async #bomb({ line, output }: Bomb): Promise<void> {
    if (output === "unread") return void (await this.#sandbox.detach(line));
    while (!this.#isOver) await this.#sandbox.exec(line);
  }

  /** That the sandbox goes under it is how it ends. */
  #failed(error: unknown): void {
    if (!this.#isOver) this.#fault = error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#sandbox.remove();
    await this.#bombing;
    if (this.#fault !== undefined) throw this.#fault;
    const reader = this.#reader;
    if (reader === undefined || reader.exitCode !== null || reader.signalCode !== null) return;
    const ended = once(reader, "exit");
    reader.kill();
    await ended;
  }
}

function readAll({ id }: Sandbox, { line }: Bomb, socketPath: string): ChildProcess {
  const args = [COMMAND, "exec", "--socket", socketPath, id, "--", "/bin/sh", "-c", line];
  return spawn(process.execPath, args, { stdio: "ignore" });
}
