import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../../src/daemon/config.ts";
import { parseConfig } from "../../src/daemon/config.ts";
import type { OneShot } from "../../src/daemon/one-shot.ts";
import { openOneShot } from "../../src/daemon/one-shot.ts";
import { newExecId } from "../../src/model/ids.ts";
import type { SandboxSpec } from "../../src/model/sandbox.ts";

export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Sandboxes without a daemon, which alone may show paths of the host, on directories of their own. */
export class OneShotBox implements AsyncDisposable {
  /** Canonical; `state` and `run` in it are Plybox's own, `work` is the test's. */
  readonly directory: string;
  readonly work: string;
  readonly config: Config;
  readonly #oneShot: OneShot;

  private constructor(directory: string, config: Config, oneShot: OneShot) {
    this.directory = directory;
    this.work = join(directory, "work");
    this.config = config;
    this.#oneShot = oneShot;
  }

  static async open(env: NodeJS.ProcessEnv = {}): Promise<OneShotBox> {
    const directory = realpathSync(mkdtempSync(join(tmpdir(), "plybox-one-shot-")));
    mkdirSync(join(directory, "work"));
    const config = parseConfig({
      PLYBOX_STATE_DIR: join(directory, "state"),
      PLYBOX_RUN_DIR: join(directory, "run"),
      ...env,
    });
    return new OneShotBox(directory, config, await openOneShot(config));
  }

  /** Runs a shell line in a fresh sandbox and removes it. */
  async shell(line: string, spec: SandboxSpec = {}): Promise<Outcome> {
    const { sandboxes } = this.#oneShot;
    const { id } = await sandboxes.create(spec);
    try {
      const session = await sandboxes.exec(id, { exec: newExecId(), command: line, stdin: false });
      const output = { stdout: "", stderr: "" };
      for await (const event of session) {
        if (event.kind === "output") output[event.stream] += Buffer.from(event.bytes).toString();
        if (event.kind === "exit") return { exitCode: event.report.code, ...output };
      }
      throw new Error("the command has no end");
    } finally {
      await sandboxes.remove(id);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#oneShot.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
