/**
 * Runs a task for each item, so many at once. The first failure aborts the others, and is thrown when all have ended:
 * nothing goes on behind the caller's back.
 */
export async function atOnce<T>(
  items: Iterable<T>,
  most: number,
  task: (item: T, signal: AbortSignal) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const either = signal === undefined ? failed.signal : AbortSignal.any([failed.signal, signal]);
  const failures: unknown[] = [];
  const iterator = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true && failures.length === 0; next = iterator.next()) {
      try {
        await task(next.value, either);
      } catch (error) {
        failures.push(error);
        failed.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: most }, worker));
  if (failures.length > 0) throw failures[0];
}
