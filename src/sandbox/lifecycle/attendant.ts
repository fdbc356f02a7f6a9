import type { LiveSandbox } from "../live-sandbox.ts";

/** What looks after sandboxes on its own, such as the end of their time. */
export interface Attendant {
  /** Told after each change of a sandbox, and when an earlier daemon's was taken over. Must not throw. */
  attend(live: LiveSandbox): void;
  /** Lets go of everything; sandboxes go on. */
  close(): void;
}
