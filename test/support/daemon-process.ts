import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { BuiltCli, CliInput } from "./built-cli.ts";

/** Starts a daemon of its own; resolves when it serves. */
export async function serve(cli: BuiltCli, input: Omit<CliInput, "stdin"> = {}): Promise<ChildProcess> {
  const child = cli.start(["serve"], input);
  child.stderr.resume();
  await once(createInterface(child.stdout), "line");
  return child;
}

export const isRunning = (child: ChildProcess | undefined): child is ChildProcess =>
  child !== undefined && child.exitCode === null && child.signalCode === null;

/** Resolves when it has ended; one that has is left alone. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!isRunning(child)) return;
  const closed = once(child, "close");
  child.kill(signal);
  await closed;
}

/** The launcher is the daemon's only child that is called so; undefined while it has none. */
function findLauncher({ pid }: ChildProcess): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
  return children.find((child) => readFileSync(`/proc/${child}/comm`, "utf8") === "plylaunch\n");
}

export function launcherOf(daemon: ChildProcess): number {
  const found = findLauncher(daemon);
  if (found === undefined) throw new Error("the daemon has no launcher");
  return found;
}

/** Harmless while there is none. */
export function killLauncher(daemon: ChildProcess): void {
  const launcher = findLauncher(daemon);
  if (launcher !== undefined) process.kill(launcher, "SIGKILL");
}
