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
      const found = database.prepare("SELECT 1 FROM sandboxes, json_each(digests) WHERE value = ? LIMIT 1").get(digest);
      return found !== undefined;
    } finally {
      database.close();
    }
  } catch {
    return true;
  }
}
