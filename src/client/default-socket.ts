/**
 * The daemon's Unix socket where nobody says: that of the machine for root, and of another user the user's own. As
 * model/default-directories.ts has it, which a bundle for browsers cannot hold; their tests compare the two.
 */
export function defaultSocket(env: NodeJS.ProcessEnv, uid: number): string {
  return env.PLYBOX_SOCKET || `${env.PLYBOX_RUN_DIR || runDirectory(env, uid)}/plybox.sock`;
}

function runDirectory({ XDG_RUNTIME_DIR, XDG_STATE_HOME, HOME }: NodeJS.ProcessEnv, uid: number): string {
  if (uid === 0) return "/run/plybox";
  const runtime = absolute(XDG_RUNTIME_DIR);
  if (runtime !== undefined) return `${runtime}/plybox`;
  return `${absolute(XDG_STATE_HOME) ?? `${absolute(HOME) ?? "/"}/.local/state`}/plybox/run`;
}

const absolute = (path: string | undefined): string | undefined =>
  path?.startsWith("/") ? path.replace(/\/+$/, "") : undefined;
