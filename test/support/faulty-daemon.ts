import type { Daemon, DaemonOptions } from "../../src/daemon/daemon.ts";
import { TestDaemon } from "./test-daemon.ts";

/** One that fails at the step that a test names, for as long as it is named. */
export class FaultyDaemon extends TestDaemon {
  failing: string | undefined;

  override start(options: DaemonOptions = {}): Promise<Daemon> {
    return super.start({ failAt: () => this.failing, ...options });
  }
}
