import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Plybox } from "../../src/client/index.ts";
import type { Config } from "../../src/daemon/config.ts";
import { parseConfig } from "../../src/daemon/config.ts";
import type { Daemon, DaemonOptions } from "../../src/daemon/daemon.ts";
import { startDaemon } from "../../src/daemon/daemon.ts";

/** A real daemon in the process of the tests, on directories of its own. */
export class TestDaemon implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "plybox-daemon-"));
  readonly config: Config;
  readonly client: Plybox;
  #daemon: Daemon | undefined;

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.config = parseConfig({
      PLYBOX_STATE_DIR: join(this.directory, "state"),
      PLYBOX_RUN_DIR: join(this.directory, "run"),
      PLYBOX_LOG_LEVEL: "silent",
      // How full the machine's disk is shows in no test by chance.
      ...{ PLYBOX_PRESSURE_HIGH: "100", PLYBOX_PRESSURE_CRITICAL: "100" },
      ...env,
    });
    this.client = new Plybox({ socketPath: this.config.socket });
  }

  async start(options: DaemonOptions = {}): Promise<Daemon> {
    this.#daemon = await startDaemon(this.config, options);
    return this.#daemon;
  }

  /** Another daemon on the same directories; sandboxes go on. */
  async restart(options: DaemonOptions = {}): Promise<Daemon> {
    await this.#daemon?.stop();
    return await this.start(options);
  }

  /** Sandboxes go on. */
  async stop(): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = undefined;
  }

  /** Removes every sandbox and checkpoint, then the daemon and its directories. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#daemon !== undefined) await this.#removeAll();
    } finally {
      this.client.close();
      await this.#daemon?.stop();
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  async #removeAll(): Promise<void> {
    await Promise.all((await this.client.list()).map((sandbox) => sandbox.remove()));
    for (const { id } of await this.client.checkpoints.list()) await this.client.checkpoints.remove(id);
  }
}
