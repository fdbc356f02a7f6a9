import { chmodSync } from "node:fs";
import { UndoStack } from "../../../src/base/undo-stack.ts";
import type { CreateOptions } from "../../../src/client/index.ts";
import { TestDaemon } from "../../support/test-daemon.ts";
import type { Target } from "../target.ts";
import { sdkTarget } from "./sdk-target.ts";

/** In the environment of the daemon, as any secret of its own would be. */
export const VARIABLE = "PLYBOX_PROBE";

/** A daemon that root runs, in this process. */
export const startNative = (environment: string): Promise<Target> => start(environment, "native", {});

/** The same, with sandboxes in which set-user-id programs work. */
export const startEscalating = (environment: string): Promise<Target> =>
  start(environment, "native, privilege escalation allowed", { allowPrivilegeEscalation: true });

/** The same under another profile of system calls. */
export const startStrict = (environment: string): Promise<Target> =>
  start(environment, "native, strict", { seccomp: "strict" });
export const startPermissive = (environment: string): Promise<Target> =>
  start(environment, "native, permissive", { seccomp: "permissive" });

async function start(environment: string, name: string, spec: CreateOptions): Promise<Target> {
  await using undo = new UndoStack();
  process.env[VARIABLE] = environment; // The launcher inherits it.
  undo.push("the environment", () => void delete process.env[VARIABLE]);
  const daemon = new TestDaemon({ PLYBOX_LISTEN: "127.0.0.1:0" });
  undo.push("the daemon", () => daemon[Symbol.asyncDispose]());
  await daemon.start();
  // As /run and /var/lib are: what keeps others out is to be the daemon's own doing.
  chmodSync(daemon.directory, 0o755);
  const { socket, stateDir, runDir, tokenFile: token } = daemon.config;
  return await sdkTarget({
    ...{ name, spec, client: daemon.client, daemon: { socket, stateDir, runDir, token }, uid: 0, undo },
  });
}
