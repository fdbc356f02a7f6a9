import { existsSync } from "node:fs";

/** Below the state directory. */
export const REGISTRY_FILE = "registry.sqlite";

/**
 * Whether a sandbox of a daemon that is not running stands on a layer. Where a daemon has the registry open, or it cannot
 * be read, the answer is yes: what is kept too long is taken away by the daemon, what is gone is gone.
 */
export async function isStoodOnByKept(registry: string, digest: string): Promise<boolean> {
  if (!existsSync(registry)) return false;
  // Most one-shot runs never ask.
  const { default: Database } = await import("better-sqlite3");
  try {
    const database = new Database(registry, { readonly: true, fileMustExist: true, timeout: 0 });
    try {
      const stoodOn = "SELECT 1 FROM sandboxes, json_each(digests) WHERE value = ? LIMIT 1";
      if (database.prepare(stoodOn).get(digest) !== undefined) return true;
      // A registry of before there were any has no such table.
      if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'checkpoints'").get() === undefined) return false;
      const kept = "SELECT 1 FROM checkpoints, json_each(body, '$.digests') WHERE value = ? LIMIT 1";
      return database.prepare(kept).get(digest) !== undefined;
    } finally {
      database.close();
    }
  } catch {
    return true;
  }
}
