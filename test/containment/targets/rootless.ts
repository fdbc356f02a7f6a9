import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { UndoStack } from "../../../src/base/undo-stack.ts";
import { Plybox } from "../../../src/client/index.ts";
import { OrdinaryUser } from "../../support/ordinary-user.ts";
import type { Target } from "../target.ts";
import { VARIABLE } from "./native.ts";
import { sdkTarget } from "./sdk-target.ts";

/** The daemon of a user without privileges, to whom ids are allotted. */
export async function startRootless(environment: string): Promise<Target> {
  await using undo = new UndoStack();
  const user = await OrdinaryUser.make({ subordinateIds: true });
  undo.push("the user", () => user[Symbol.dispose]());
  const daemon = user.start(["env", `${VARIABLE}=${environment}`, "PLYBOX_LISTEN=127.0.0.1:0", ...user.cli, "serve"]);
  const ended = once(daemon, "close");
  undo.push("the daemon", async () => {
    daemon.kill("SIGTERM");
    await ended;
  });
  daemon.stderr.pipe(process.stderr);
  await Promise.race([once(createInterface(daemon.stdout), "line"), ended]);
  const [stateDir, runDir] = [join(user.home, ".local/state/plybox"), join(user.home, "run")];
  const paths = { socket: join(runDir, "plybox.sock"), stateDir, runDir, token: join(stateDir, "token") };
  const client = new Plybox({ socketPath: paths.socket });
  undo.push("the client", () => client.close());
  return await sdkTarget({ name: "native, rootless", client, daemon: paths, uid: user.uid, undo });
}
