/** Where Plybox keeps its things when nobody says: absolute directories. */
export interface Directories {
  /** What outlives a reboot. */
  readonly stateDir: string;
  /** What does not. */
  readonly runDir: string;
}

/** The machine's directories for root, and for another user the user's own, as the XDG base directories have them. */
export function defaultDirectories(env: NodeJS.ProcessEnv, uid: number): Directories {
  if (uid === 0) return { stateDir: "/var/lib/plybox", runDir: "/run/plybox" };
  const stateDir = `${absolute(env.XDG_STATE_HOME) ?? `${absolute(env.HOME) ?? "/"}/.local/state`}/plybox`;
  const runtime = absolute(env.XDG_RUNTIME_DIR);
  // Without a session there is no directory that goes with it; what was in memory is found to be gone all the same.
  return { stateDir, runDir: runtime === undefined ? `${stateDir}/run` : `${runtime}/plybox` };
}

/** A relative path in these variables is to be ignored, says the specification. */
const absolute = (path: string | undefined): string | undefined =>
  path?.startsWith("/") ? path.replace(/\/+$/, "") : undefined;
