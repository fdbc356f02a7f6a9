import type { CommandOptions } from "../../src/client/exec-options.ts";
import type { CreateOptions, Sandbox } from "../../src/client/index.ts";
import { TestDaemon } from "./test-daemon.ts";

export interface ScriptOptions extends Pick<CommandOptions, "user" | "cwd" | "env"> {
  /** What the script reads. */
  readonly stdin?: string;
}

/** A sandbox as everybody gets it who names no setting, in a daemon of its own: real programs are run in it. */
export class Workbox implements AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly daemon: TestDaemon;

  private constructor(daemon: TestDaemon, sandbox: Sandbox) {
    this.daemon = daemon;
    this.sandbox = sandbox;
  }

  /** @param settings beyond those that everybody gets; `daemon` has not been started */
  static async open(settings: CreateOptions = {}, daemon = new TestDaemon()): Promise<Workbox> {
    try {
      await daemon.start();
      return new Workbox(daemon, await daemon.client.create(settings));
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * What a bash script writes to stdout; it stops at the first command that fails.
   * @throws Error with all that it wrote when it did not exit 0
   */
  async run(script: string, { stdin, ...options }: ScriptOptions = {}): Promise<string> {
    const command = ["bash", "-euo", "pipefail", "-c", script];
    const { exitCode, signal, stdout, stderr } = await this.sandbox.exec(command, {
      ...options,
      ...(stdin !== undefined && { stdin }),
    });
    if (exitCode === 0) return stdout;
    throw new Error(`the script ended with ${exitCode ?? signal}\n${stdout}${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon[Symbol.asyncDispose]();
  }
}
