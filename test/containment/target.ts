import type { Files } from "../../src/client/index.ts";

/** How a command inside ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where what runs the sandboxes keeps its things, on the host. */
export interface DaemonPaths {
  readonly socket: string;
  readonly stateDir: string;
  readonly runDir: string;
  readonly token: string;
}

/** One sandbox. */
export interface Box {
  /** The host's pid of its process 1. */
  readonly pid: number;
  /** Its files, by the way that those outside have. */
  readonly files: Pick<Files, "readText" | "write" | "chmod" | "list" | "remove" | "uploadTar">;
  /** Runs a program to its end, as root by default. */
  exec(command: readonly string[], options?: { readonly user?: string | undefined }): Promise<Ended>;
  /** Starts a program and resolves with the first line that it prints; its input ends with the target. */
  hold(command: readonly string[]): Promise<string>;
}

/** A sandbox under attack, and another one beside it. */
export interface Target extends AsyncDisposable {
  readonly name: string;
  readonly daemon: DaemonPaths;
  /** The user of the host that the daemon runs as. */
  readonly uid: number;
  readonly box: Box;
  readonly neighbour: Box;
}
