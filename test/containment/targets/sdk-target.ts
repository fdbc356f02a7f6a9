import type { Command, Plybox, Sandbox } from "../../../src/client/index.ts";
import type { DaemonPaths, Ended, Target } from "../target.ts";

/** Two sandboxes of a daemon, whatever it isolates them with. */
export class SdkTarget implements Target {
  readonly name: string;
  readonly daemon: DaemonPaths;
  readonly #sandbox: Sandbox;
  readonly #neighbour: Sandbox;
  readonly #started: Command[] = [];

  private constructor(
    name: string,
    daemon: DaemonPaths,
    sandboxes: { readonly own: Sandbox; readonly other: Sandbox },
  ) {
    this.name = name;
    this.daemon = daemon;
    this.#sandbox = sandboxes.own;
    this.#neighbour = sandboxes.other;
  }

  static async create(name: string, client: Plybox, daemon: DaemonPaths): Promise<SdkTarget> {
    return new SdkTarget(name, daemon, { own: await client.create({}), other: await client.create({}) });
  }

  async exec(command: readonly string[], { user }: { readonly user?: string | undefined } = {}): Promise<Ended> {
    const { exitCode, signal, stdout, stderr } = await this.#sandbox.exec(command, {
      ...(user !== undefined && { user }),
    });
    return { code: exitCode, signal, stdout, stderr };
  }

  async write(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
    await this.#sandbox.files.write(path, content, { mode, parents: true });
  }

  async read(path: string): Promise<string> {
    return await this.#sandbox.files.readText(path);
  }

  async startInNeighbour(program: Uint8Array, args: readonly string[]): Promise<string> {
    const path = "/probe/attacks";
    await this.#neighbour.files.write(path, program, { mode: 0o755, parents: true });
    const command = await this.#neighbour.spawn([path, ...args], { stdin: true });
    this.#started.push(command);
    let line = "";
    for await (const event of command) {
      if (event.kind === "output" && event.stream === "stdout") line += new TextDecoder().decode(event.bytes);
      if (line.endsWith("\n")) return line.trim();
    }
    throw new Error(`${args[0]} ended without a word`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const command of this.#started) await command.end();
    await Promise.all([this.#sandbox.remove(), this.#neighbour.remove()]);
  }
}
