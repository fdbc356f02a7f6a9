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
  readonly #readers: readonly ChildProcess[];
  readonly #bombing: Promise<void>;
  #isOver = false;
  #fault: unknown;

  private constructor(sandbox: Sandbox, bomb: Bomb, socketPath: string) {
    this.#sandbox = sandbox;
    // In processes of their own: what they read must not delay who measures.
    this.#readers = Array.from({ length: bomb.readers ?? 0 }, () => readAll(sandbox, bomb, socketPath));
    this.#bombing = this.#bomb(bomb).catch((error) => this.#failed(error));
  }

  static async begin(plybox: Plybox, bomb: Bomb, socketPath: string): Promise<Explosion> {
    const sandbox = await plybox.create({ layers: ["host"] });
    const explosion = new Explosion(sandbox, bomb, socketPath);
    await new Promise((resolve) => setTimeout(resolve, FUSE_MS));
    return explosion;
  }

  /** One that its limit has ended is set off again. One that floods goes on by itself. */
  async #bomb({ line, readers }: Bomb): Promise<void> {
    if (readers === 0) await this.#sandbox.detach(line);
    if (readers !== undefined) return;
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
    await Promise.all(this.#readers.map(end));
  }
}

async function end(reader: ChildProcess): Promise<void> {
  if (reader.exitCode !== null || reader.signalCode !== null) return;
  const ended = once(reader, "exit");
  reader.kill();
  await ended;
}

function readAll({ id }: Sandbox, { line }: Bomb, socketPath: string): ChildProcess {
  const args = [COMMAND, "exec", "--socket", socketPath, id, "--", "/bin/sh", "-c", line];
  return spawn(process.execPath, args, { stdio: "ignore" });
}
