import { sharedAbort } from "../../base/abort.ts";
import type { SandboxId } from "../../model/ids.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import { directoryBytes } from "./directory-bytes.ts";

export interface DiskUppersOptions {
  /** Where the upper of a sandbox is. */
  readonly pathOf: (sandbox: Sandbox) => string;
  /** Tests only. */
  readonly measure?: typeof directoryBytes;
  /** Tests only: milliseconds that only go up. */
  readonly now?: () => number;
}

/** What an upper held when it was measured; null where it is too large to be measured, or cannot be read. */
export interface UpperFigure {
  readonly bytes: number | null;
  readonly measuredAt: Date;
}

/** One upper is not measured again for so long, and for so many times as long as its last measurement took. */
const REST_MS = 60_000;
const REST_FACTOR = 10;

interface Upper {
  readonly path: string;
  readonly abort: AbortController;
  figure: UpperFigure | undefined;
  dueMs: number;
}

/**
 * Measures uppers on disk, which have to be walked: one at a time, in the background, and none that nobody asks for.
 * Who asks is told what was found last.
 */
export class DiskUppers {
  readonly #pathOf: (sandbox: Sandbox) => string;
  readonly #measure: typeof directoryBytes;
  readonly #now: () => number;
  readonly #uppers = new Map<SandboxId, Upper>();
  /** Those without a figure come before those whose figure is old. */
  readonly #unmeasured = new Set<Upper>();
  readonly #stale = new Set<Upper>();
  #work: Promise<void> | undefined;
  #isClosed = false;

  constructor({ pathOf, measure = directoryBytes, now = () => performance.now() }: DiskUppersOptions) {
    this.#pathOf = pathOf;
    this.#measure = measure;
    this.#now = now;
  }

  /** What was measured last, undefined before the first time; has it measured where that is due. */
  figure(sandbox: Sandbox): UpperFigure | undefined {
    const upper = this.#upperOf(sandbox);
    if (!this.#isClosed && this.#now() >= upper.dueMs) {
      // Until its measurement has ended it is in line, or has its turn.
      upper.dueMs = Number.POSITIVE_INFINITY;
      (upper.figure === undefined ? this.#unmeasured : this.#stale).add(upper);
      this.#work ??= this.#measureAll();
    }
    return upper.figure;
  }

  /** For a sandbox that is gone. Harmless for others. */
  forget(id: SandboxId): void {
    const upper = this.#uppers.get(id);
    if (upper === undefined) return;
    this.#uppers.delete(id);
    this.#unmeasured.delete(upper);
    this.#stale.delete(upper);
    upper.abort.abort();
  }

  /** Resolves when nothing is measured any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const id of [...this.#uppers.keys()]) this.forget(id);
    await this.#work;
  }

  #upperOf(sandbox: Sandbox): Upper {
    const path = this.#pathOf(sandbox);
    // A restore gives a sandbox another upper.
    if (this.#uppers.get(sandbox.id)?.path !== path) this.forget(sandbox.id);
    let upper = this.#uppers.get(sandbox.id);
    if (upper === undefined) {
      upper = { path, abort: sharedAbort(), figure: undefined, dueMs: 0 };
      if (!this.#isClosed) this.#uppers.set(sandbox.id, upper);
    }
    return upper;
  }

  async #measureAll(): Promise<void> {
    for (let upper = this.#next(); upper !== undefined; upper = this.#next()) await this.#measureOne(upper);
    this.#work = undefined;
  }

  #next(): Upper | undefined {
    const line = this.#unmeasured.size > 0 ? this.#unmeasured : this.#stale;
    const [upper] = line;
    if (upper !== undefined) line.delete(upper);
    return upper;
  }

  async #measureOne(upper: Upper): Promise<void> {
    const { path, abort } = upper;
    const beganMs = this.#now();
    // Of what cannot be read nobody knows the size; the sandbox may be gone as well.
    const bytes = await this.#measure(path, { signal: abort.signal }).catch(() => null);
    upper.figure = { bytes, measuredAt: new Date() };
    const endedMs = this.#now();
    upper.dueMs = endedMs + Math.max(REST_MS, REST_FACTOR * (endedMs - beganMs));
  }
}
