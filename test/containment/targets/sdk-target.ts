import type { UndoStack } from "../../../src/base/undo-stack.ts";
import type { Command, CreateOptions, Plybox, Sandbox } from "../../../src/client/index.ts";
import { processesWith } from "../../support/traces.ts";
import type { Box, Target } from "../target.ts";

interface SdkTargetOptions extends Pick<Target, "name" | "daemon" | "uid"> {
  readonly client: Plybox;
  /** What its sandboxes are made with. */
  readonly spec?: CreateOptions;
  /** Ends the daemon; what is made here is pushed on it, and the target owns what it held. */
  readonly undo: UndoStack;
}

/** Two sandboxes of a daemon, whatever it isolates them with. */
export async function sdkTarget({ name, client, spec = {}, daemon, uid, undo }: SdkTargetOptions): Promise<Target> {
  const box = boxOf(await client.create(spec), undo);
  const neighbour = boxOf(await client.create(spec), undo);
  const owned = undo.move();
  return { name, daemon, uid, box, neighbour, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

function boxOf(sandbox: Sandbox, undo: UndoStack): Box {
  const held: Command[] = [];
  undo.push("a sandbox", async () => {
    for (const command of held) await command.end();
    await sandbox.remove();
  });
  const [pid = 0] = processesWith(`--sandbox ${sandbox.id}`);
  return {
    pid,
    files: sandbox.files,
    async exec(command, { user } = {}) {
      const result = await sandbox.exec(command, { ...(user !== undefined && { user }) });
      return { code: result.exitCode, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
    },
    async hold(command) {
      const running = await sandbox.spawn(command, { stdin: true });
      held.push(running);
      let line = "";
      for await (const event of running) {
        if (event.kind === "output" && event.stream === "stdout") line += new TextDecoder().decode(event.bytes);
        if (line.endsWith("\n")) return line.trim();
      }
      throw new Error(`${command.join(" ")} ended without a word`);
    },
  };
}
