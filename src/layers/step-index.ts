import { existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../model/ids.ts";
import { parseDigest } from "../model/ids.ts";
import { isMakerAlive, newMakerMark } from "./maker-mark.ts";

/** What a step of a build was made from: 64 hexadecimal digits, as a digest has. */
export type StepKey = Digest;

/**
 * Which layer a step of a build has made: symbolic links `KEY → ../<digest>` in one directory, each replaced atomically.
 * What is in it keeps a layer without a name, until room is made.
 */
export class StepIndex {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  find(key: StepKey): Digest | undefined {
    try {
      return parseDigest(readlinkSync(join(this.#directory, key)).slice("../".length));
    } catch {
      return undefined;
    }
  }

  point(key: StepKey, digest: Digest): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const temporary = join(this.#directory, `.${key}.${newMakerMark()}`);
    symlinkSync(`../${digest}`, temporary);
    renameSync(temporary, join(this.#directory, key));
  }

  has(digest: Digest): boolean {
    return this.#keysOf(digest).length > 0;
  }

  /** Forgets the steps that made a layer. Returns what they were. */
  release(digest: Digest): readonly StepKey[] {
    const keys = this.#keysOf(digest);
    for (const key of keys) rmSync(join(this.#directory, key), { force: true });
    return keys;
  }

  /** Removes what processes that have died left half done. */
  async sweep(): Promise<void> {
    if (!existsSync(this.#directory)) return;
    for (const file of await readdir(this.#directory)) {
      if (file.startsWith(".") && !isMakerAlive(file)) await rm(join(this.#directory, file), { force: true });
    }
  }

  #keysOf(digest: Digest): readonly StepKey[] {
    if (!existsSync(this.#directory)) return [];
    const keys = readdirSync(this.#directory).filter((file) => !file.startsWith(".")) as StepKey[];
    return keys.filter((key) => this.find(key) === digest);
  }
}
