import { readdirSync } from "node:fs";
import { childrenOf, readProcessMemory } from "../machine.ts";
import type { Reading } from "./growth.ts";

const READ_EVERY_MS = 250;

/** What a process holds open. */
export const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Reads what a daemon and its launcher hold while something goes on. */
export class Watch implements Disposable {
  readonly #pid: number;
  readonly #progress: () => number;
  readonly #timer: NodeJS.Timeout;
  readonly readings: { readonly daemon: Reading[]; readonly launcher: Reading[] } = { daemon: [], launcher: [] };

  /** @param progress how much is done, 0 to 1 */
  constructor(pid: number, progress: () => number) {
    this.#pid = pid;
    this.#progress = progress;
    this.#timer = setInterval(() => this.#read(), READ_EVERY_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #read(): void {
    this.readings.daemon.push(this.#readingOf(this.#pid));
    for (const pid of childrenOf(this.#pid)) this.readings.launcher.push(this.#readingOf(pid));
  }

  #readingOf(pid: number): Reading {
    return { progress: this.#progress(), rssKiB: readProcessMemory(pid).rss, descriptors: descriptorsOf(pid) };
  }
}
