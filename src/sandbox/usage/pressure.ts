import { setImmediate } from "node:timers/promises";
import type { Sandbox } from "../../model/sandbox.ts";
import type { PressureLevel, StorageKind } from "../../model/storage.ts";

/** How full something is. */
export interface Filled {
  readonly storage: StorageKind;
  /** Whose upper it is; null for what all share. */
  readonly sandbox: Sandbox | null;
  readonly usedBytes: number;
  readonly totalBytes: number;
}

/** From which percentage on something is so full. */
export interface PressureThresholds {
  readonly high: number;
  readonly critical: number;
}

export interface PressureOptions {
  /** All that may get full. */
  readonly measure: () => Iterable<Filled>;
  /** Told of every change of a level. */
  readonly onChange: (level: PressureLevel, filled: Filled) => void;
  readonly thresholds: PressureThresholds;
  readonly everyMs: number;
}

/** A level is left when it is so many percent less full than where it began: what goes up and down a little is told once. */
const SLACK = 5;
/** So many are measured before others have their turn. */
const BATCH = 16;

/** Looks from time to time how full uppers, pools and the store's disk are, and tells of each that has another level. */
export class Pressure {
  readonly #options: PressureOptions;
  readonly #timer: NodeJS.Timeout;
  /** Of what is not normal. */
  #levels: ReadonlyMap<string, PressureLevel> = new Map();
  #check: Promise<void> | undefined;

  constructor(options: PressureOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.check(), options.everyMs).unref();
  }

  /** One look; who asks during one shares it. */
  check(): Promise<void> {
    this.#check ??= this.#look().finally(() => {
      this.#check = undefined;
    });
    return this.#check;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { measure, onChange, thresholds } = this.#options;
    const levels = new Map<string, PressureLevel>();
    let measured = 0;
    for (const filled of measure()) {
      const key = `${filled.storage} ${filled.sandbox?.id ?? ""}`;
      const before = this.#levels.get(key) ?? "normal";
      const level = levelOf(before, (100 * filled.usedBytes) / filled.totalBytes, thresholds);
      if (level !== "normal") levels.set(key, level);
      if (level !== before) onChange(level, filled);
      measured += 1;
      if (measured % BATCH === 0) await setImmediate();
    }
    // What is gone is forgotten.
    this.#levels = levels;
  }
}

export function levelOf(before: PressureLevel, percent: number, { high, critical }: PressureThresholds): PressureLevel {
  const isAt = (threshold: number, wasThere: boolean): boolean => percent >= threshold - (wasThere ? SLACK : 0);
  if (isAt(critical, before === "critical")) return "critical";
  return isAt(high, before !== "normal") ? "high" : "normal";
}
