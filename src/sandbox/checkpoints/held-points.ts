import type { CheckpointId } from "../../model/ids.ts";

/** The checkpoints that somebody reads at the moment: they are removed when nobody does any more. */
export class HeldPoints {
  readonly #readers = new Map<CheckpointId, number>();
  readonly #waiting = new Map<CheckpointId, (() => void)[]>();

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

  /** Resolves when nobody reads it. */
  async untilFree(id: CheckpointId): Promise<void> {
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
