import { PlyboxError } from "../model/errors.ts";
import type { SandboxLifecycle } from "../sandbox/sandbox-lifecycle.ts";

/**
 * Resolves when the sandbox is ready, and after `waitMs` where it is not.
 * @throws PlyboxError as `waitReady` does, and `aborted` when the client goes away before
 */
export async function untilReady(
  lifecycle: SandboxLifecycle,
  ref: string,
  waitMs: number | undefined,
  client: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const timer = waitMs === undefined ? undefined : setTimeout(() => over.abort(), waitMs);
  try {
    await lifecycle.waitReady(ref, AbortSignal.any([over.signal, client]));
  } catch (cause) {
    if (client.aborted)
      throw new PlyboxError("aborted", "the client went away before the sandbox was ready", { cause });
    if (!over.signal.aborted) throw cause;
  } finally {
    clearTimeout(timer);
  }
}
