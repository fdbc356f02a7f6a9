import type { SandboxLifecycle } from "../sandbox/sandbox-lifecycle.ts";

/** Resolves when the sandbox is ready, and after `waitMs` where it is not. Throws as `waitReady` does. */
export async function untilReady(
  lifecycle: SandboxLifecycle,
  ref: string,
  waitMs: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const timer = waitMs === undefined ? undefined : setTimeout(() => over.abort(), waitMs);
  try {
    await lifecycle.waitReady(ref, AbortSignal.any([over.signal, signal]));
  } catch (error) {
    if (!over.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
}
