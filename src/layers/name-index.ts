import { lstatSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Digest, LayerName } from "../model/ids.ts";
import { parseDigest, parseLayerName } from "../model/ids.ts";
import { isMakerAlive, newMakerMark } from "./maker-mark.ts";

/** A directory's time moves in ticks of up to 10 ms: what was read this soon after a change may miss the next one. */
const SETTLED_MS = 20;

/**
 * Which layer a name means: symbolic links `NNN-name → ../<digest>` in one directory, each replaced atomically.
 * Looking up costs one lstat while nothing changes; changes by other processes are seen at once.
 */
export class NameIndex {
  readonly #directory: string;
  #names: ReadonlyMap<LayerName, Digest> = new Map();
  #version = "";

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Every name with its layer, in order of the names. */
  current(): ReadonlyMap<LayerName, Digest> {
    const stats = lstatSync(this.#directory, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return new Map();
    const version = `${stats.ino}:${stats.mtimeNs}`;
    if (version === this.#version) return this.#names;
    const settled = Date.now() - Number(stats.mtimeMs) > SETTLED_MS;
    this.#names = this.#read();
    this.#version = settled ? version : "";
    return this.#names;
  }

  prepare(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
  }

  /** Gives a free name to a layer. Returns false when the name is taken, by whichever process was first. */
  claim(name: LayerName, digest: Digest): boolean {
    try {
      symlinkSync(`../${digest}`, join(this.#directory, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    }
    this.#version = "";
    return true;
  }

  /** Gives a name to a layer, whatever it meant before. */
  point(name: LayerName, digest: Digest): void {
    const temporary = join(this.#directory, `.${name}.${newMakerMark()}`);
    symlinkSync(`../${digest}`, temporary);
    renameSync(temporary, join(this.#directory, name));
    this.#version = "";
  }

  release(name: LayerName): void {
    rmSync(join(this.#directory, name), { force: true });
    this.#version = "";
  }

  /** Removes what processes that have died left half done. */
  async sweep(): Promise<void> {
    for (const file of await readdir(this.#directory)) {
      if (file.startsWith(".") && !isMakerAlive(file)) await rm(join(this.#directory, file), { force: true });
    }
  }

  #read(): ReadonlyMap<LayerName, Digest> {
    const names = new Map<LayerName, Digest>();
    for (const file of readdirSync(this.#directory).sort()) {
      if (file.startsWith(".")) continue;
      try {
        const target = readlinkSync(join(this.#directory, file));
        names.set(parseLayerName(file), parseDigest(target.slice("../".length)));
      } catch {
        // Removed since readdir, or not ours: no name.
      }
    }
    return names;
  }
}
