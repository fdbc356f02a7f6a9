import type { CheckpointId } from "../../model/ids.ts";

/** The checkpoints that somebody reads at the moment: they are removed when nobody does any more. */
export class HeldPoints {
  readonly #readers = new Map<CheckpointId, number>();
  readonly #waiting = new Map<CheckpointId, (() => void)[]>();
  /** What those are told who can stop reading when somebody waits. */
  readonly #stops = new Map<CheckpointId, Set<() => void>>();

  isHeld(id: CheckpointId): boolean {
    return this.#readers.has(id);
  }

  /** Runs `work`, during which none of these goes. */
  async during<T>(ids: readonly CheckpointId[], work: () => Promise<T>): Promise<T> {
    for (const id of ids) this.#readers.set(id, (this.#readers.get(id) ?? 0) + 1);
    try {
      return await work();
    } finally {
      for (const id of ids) this.#letGo(id);
    }
  }

  /** The same; `stop` is called where somebody waits for one of them, and is to have `work` end soon. */
  async duringUnlessWanted<T>(ids: readonly CheckpointId[], stop: () => void, work: () => Promise<T>): Promise<T> {
    for (const id of ids) this.#stops.set(id, (this.#stops.get(id) ?? new Set()).add(stop));
    try {
      return await this.during(ids, work);
    } finally {
      for (const id of ids) {
        this.#stops.get(id)?.delete(stop);
        if (this.#stops.get(id)?.size === 0) this.#stops.delete(id);
      }
    }
  }

  /** Resolves when nobody reads it. */
  async untilFree(id: CheckpointId): Promise<void> {
    for (const stop of this.#stops.get(id) ?? []) stop();
    while (this.isHeld(id)) {
      await new Promise<void>((resolve) => {
        this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), resolve]);
      });
    }
  }

  #letGo(id: CheckpointId): void {
    const left = (this.#readers.get(id) ?? 0) - 1;
    if (left > 0) {
      this.#readers.set(id, left);
      return;
    }
    this.#readers.delete(id);
    const waiting = this.#waiting.get(id) ?? [];
    this.#waiting.delete(id);
    for (const go of waiting) go();
  }
}
