import { mkdtemp, rm } from "node:fs/promises";
import { UndoStack } from "../../src/base/undo-stack.ts";
import { Plybox } from "../../src/client/index.ts";
import { Daemon } from "../daemon.ts";

/** A built daemon that serves, with a client of it; disposing ends both, and removes the run directory. */
export interface Served extends AsyncDisposable {
  readonly client: Plybox;
  /** In memory. */
  readonly runDirectory: string;
}

/** @param work an empty directory, for the daemon's state and log */
export async function serve(work: string): Promise<Served> {
  await using undo = new UndoStack();
  const runDirectory = await mkdtemp("/dev/shm/plybox-bench-");
  undo.push("remove the run directory", () => rm(runDirectory, { recursive: true, force: true }));
  const daemon = new Daemon({ directory: work, runDirectory, logLevel: "warn" });
  undo.push("stop the daemon", () => daemon[Symbol.asyncDispose]());
  await daemon.start();
  const client = new Plybox({ socketPath: daemon.socketPath });
  undo.push("let go of the daemon", () => client.close());
  const kept = undo.move();
  return { client, runDirectory, [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() };
}
