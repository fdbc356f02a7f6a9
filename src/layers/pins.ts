import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../model/ids.ts";
import { isMakerAlive, newMakerMark } from "./maker-mark.ts";

/**
 * Says to other processes which layers this one needs, by files `<digest>.<maker mark>`: a daemon and a one-shot run
 * share a store, and what one of them uses the other may not remove. A pin whose process has died counts for nothing.
 */
export class Pins {
  readonly #directory: string;
  readonly #mark = newMakerMark();
  readonly #counts = new Map<Digest, number>();
  #hasSwept = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async prepare(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }

  /** Counted: every hold needs its drop. */
  hold(digest: Digest): void {
    if (!this.#hasSwept) this.sweep();
    const count = this.#counts.get(digest) ?? 0;
    if (count === 0) writeFileSync(this.#file(digest), "", { mode: 0o600 });
    this.#counts.set(digest, count + 1);
  }

  drop(digest: Digest): void {
    const count = this.#counts.get(digest) ?? 0;
    if (count > 1) {
      this.#counts.set(digest, count - 1);
      return;
    }
    this.#counts.delete(digest);
    rmSync(this.#file(digest), { force: true });
  }

  /** Whether this process or another living one needs the layer. */
  isHeld(digest: Digest): boolean {
    return this.#counts.has(digest) || this.isHeldElsewhere(digest);
  }

  /** Whether another living process needs the layer, or another user of the store in this one. */
  isHeldElsewhere(digest: Digest): boolean {
    const own = `${digest}.${this.#mark}`;
    return readdirSync(this.#directory).some((file) => file.startsWith(digest) && file !== own && isMakerAlive(file));
  }

  /** Removes the pins of processes that have died; a process that pins for the first time does it too. */
  sweep(): void {
    this.#hasSwept = true;
    for (const file of readdirSync(this.#directory)) {
      if (!isMakerAlive(file)) rmSync(join(this.#directory, file), { force: true });
    }
  }

  #file(digest: Digest): string {
    return join(this.#directory, `${digest}.${this.#mark}`);
  }
}
