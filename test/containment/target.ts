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

/** A sandbox under attack, and another one beside it. */
export interface Target extends AsyncDisposable {
  readonly name: string;
  readonly daemon: DaemonPaths;
  /** Runs a program to its end, as root by default. */
  exec(command: readonly string[], options?: { readonly user?: string | undefined }): Promise<Ended>;
  /** Makes a file. */
  write(path: string, content: string | Uint8Array, mode?: number): Promise<void>;
  read(path: string): Promise<string>;
  /** Starts a program in the sandbox beside and resolves with its first line; it runs until the target is disposed of. */
  startInNeighbour(program: Uint8Array, args: readonly string[]): Promise<string>;
}
