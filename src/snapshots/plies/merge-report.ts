import type { MergeConflict, MergeStep } from "./merge.ts";

/** So many conflicts, and so many changes, are told one by one. */
const MOST_TOLD = 1000;

/** One path of ours that a merge writes or removes. */
export interface MergeChange {
  readonly kind: "written" | "removed";
  /** A character a byte. */
  readonly path: string;
}

/** What a merge comes to, as its steps and conflicts are told. */
export class MergeReport {
  /** The first 1000. */
  readonly conflicts: MergeConflict[] = [];
  /** The first 1000. */
  readonly changes: MergeChange[] = [];
  steps = 0;
  conflictCount = 0;
  changeCount = 0;
  /** Paths that were copied, each in the one before: directories get a step again after what is in them. */
  readonly #copied: string[] = [];

  add(told: MergeStep | MergeConflict): void {
    if (told.kind === "conflict") {
      this.conflictCount++;
      if (this.conflicts.length < MOST_TOLD) this.conflicts.push(told);
      return;
    }
    this.steps++;
    if (told.kind === "stamp" && this.#isCopied(told.path)) return;
    this.changeCount++;
    if (told.kind === "copy") this.#noteCopy(told.path);
    const kind = told.kind === "remove" ? "removed" : "written";
    if (this.changes.length < MOST_TOLD) this.changes.push({ kind, path: told.path });
  }

  #noteCopy(path: string): void {
    this.#leave((last) => path.startsWith(`${last}/`));
    this.#copied.push(path);
  }

  #isCopied(path: string): boolean {
    this.#leave((last) => last === path || path.startsWith(`${last}/`));
    return this.#copied.at(-1) === path;
  }

  #leave(isWithin: (last: string) => boolean): void {
    for (let last = this.#copied.at(-1); last !== undefined && !isWithin(last); last = this.#copied.at(-1)) {
      this.#copied.pop();
    }
  }
}
