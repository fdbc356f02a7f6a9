import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "../../base/atomic-file.ts";
import { KeyedLock } from "../../base/keyed-lock.ts";
import type { PoolStep } from "../../model/checkpoint.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { CheckpointId, SandboxId } from "../../model/ids.ts";
import type { SnapshotPool } from "../pools/snapshot-pool.ts";
import { groupOf } from "../pools/snapshot-pool.ts";
import { packStream, unpackStream } from "./streams.ts";

/** A snapshot that points are packed against: whose it is, and of which of its points. It changes no more, and outlives that. */
export interface Base {
  readonly sandbox: SandboxId;
  readonly point: CheckpointId;
}

/** A point in a file. */
export interface PackedPoint {
  /** What it stands on; null where the file has all of it. */
  readonly base: Base | null;
  /** Of the file. */
  readonly bytes: number;
}

export interface PackRequest {
  readonly sandbox: SandboxId;
  /** The pool has to have it, or the point that it is of. */
  readonly base: Base | null;
  readonly signal?: AbortSignal;
}

const ID = "[0-9a-z]{26}";
const POINT = new RegExp(`^(cp_${ID})(?:@(sb_${ID})\\.(cp_${ID}))?\\.zst$`);
const BASE = new RegExp(`^(sb_${ID})\\.(cp_${ID})$`);

/**
 * The points of a pool that are in files (docs/decisions/0022). Most of these have what a point differs in from a base, a
 * snapshot in the pool; what both have the pool keeps once. So nothing stands on more than one thing. A file has its name
 * when all of it is on the disk, and the names are all that is known of files: nothing else has to agree with them.
 */
export class PackedPoints {
  readonly #pool: SnapshotPool;
  readonly #directory: string;
  readonly #points = new Map<CheckpointId, PackedPoint>();
  /** Bases that something is being packed against: nothing stands on them yet. */
  readonly #wanted = new Set<string>();
  /** When points were last asked for, in milliseconds since 1970. */
  readonly #usedAt = new Map<CheckpointId, number>();
  readonly #lock = new KeyedLock();

  /** @param directory where its files are, of no other pool */
  constructor(pool: SnapshotPool, directory: string) {
    this.#pool = pool;
    this.#directory = directory;
  }

  /** Finds what an earlier process has packed, and takes away what that has left half done; to be called once, first. */
  async recover(): Promise<void> {
    if (existsSync(this.#directory)) {
      for (const name of readdirSync(this.#directory)) {
        const [, point, sandbox, base] = POINT.exec(name) ?? [];
        const path = join(this.#directory, name);
        if (point === undefined) await rm(path, { force: true });
        else {
          const on = sandbox === undefined ? null : { sandbox: sandbox as SandboxId, point: base as CheckpointId };
          this.#points.set(point as CheckpointId, { base: on, bytes: statSync(path).size });
        }
      }
    }
    for (const place of namesIn(this.#place("unpacking"))) {
      // What cannot go now goes when this point is unpacked, or with the next daemon; nothing needs it.
      await this.#clear(place).catch(() => {});
    }
  }

  /** Undefined where it is in no file, or what it stands on is gone. */
  get(point: CheckpointId): PackedPoint | undefined {
    const packed = this.#points.get(point);
    return packed === undefined || packed.base === null || this.#has(packed.base) ? packed : undefined;
  }

  /** Whether somebody has needed it in the pool within so many milliseconds. */
  isUsed(point: CheckpointId, withinMs: number): boolean {
    return Date.now() - (this.#usedAt.get(point) ?? 0) < withinMs;
  }

  /** The bases in the pool, oldest point first, and how many points stand on each. */
  bases(): readonly { readonly base: Base; readonly points: number }[] {
    const counts = new Map<string, number>();
    for (const { base } of this.#points.values()) {
      if (base !== null) counts.set(nameOf(base), (counts.get(nameOf(base)) ?? 0) + 1);
    }
    return this.#baseNames().map((name) => ({ base: baseOf(name), points: counts.get(name) ?? 0 }));
  }

  /**
   * Packs a point that is in the pool, where it stays. To be called for one point at a time; nobody may drop it, nor the
   * point of the base, meanwhile.
   * @throws PlyboxError as `packStream`; nothing is left of what failed but a base, which goes with the next `collect`
   */
  async pack(point: CheckpointId, { sandbox, base, signal }: PackRequest): Promise<void> {
    const standing = base === null ? "" : `@${nameOf(base)}`;
    const file = join(this.#directory, `${point}${standing}.zst`);
    const part = `${file}.part`;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    try {
      // One that is of no use, since what it stood on is gone.
      await this.#forget(point);
      if (base !== null) await this.#makeBase(base, sandbox);
      const against = base === null ? {} : { base: this.#place("bases", nameOf(base)) };
      const source = this.#pool.checkpointPath(point);
      const bytes = await packStream({ source, target: part, ...against, ...(signal && { signal }) });
      await rename(part, file);
      await syncDirectory(this.#directory);
      this.#points.set(point, { base, bytes });
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    } finally {
      if (base !== null) this.#wanted.delete(nameOf(base));
    }
  }

  /**
   * Sees to it that a packed point is in the pool; nobody may drop it meanwhile. What it takes there counts for a sandbox.
   * @returns whether it was not
   * @throws PlyboxError `checkpoint/lost`, and as `unpackStream`
   */
  async unpack(point: CheckpointId, sandbox: SandboxId): Promise<boolean> {
    return await this.#lock.run(point, async () => {
      if (this.#points.has(point)) this.#usedAt.set(point, Date.now());
      if (this.#pool.has(point)) return false;
      const packed = this.get(point);
      if (packed === undefined) throw new PlyboxError("checkpoint/lost", `what ${point} held is gone`);
      await this.#pool.open();
      const group = groupOf(sandbox);
      const place = this.#place("unpacking", point);
      mkdirSync(this.#place("unpacking"), { recursive: true, mode: 0o700 });
      await this.#clear(point);
      try {
        const limit: PoolStep = { do: "limit", path: this.#pool.directory, group };
        await this.#pool.apply([limit, { do: "create", path: place, group }]);
        await unpackStream(this.#fileOf(point, packed), place);
        const path = this.#pool.checkpointPath(point);
        await this.#pool.apply([{ do: "snapshot", source: join(place, point), path, group, readOnly: true }]);
      } finally {
        await this.#clear(point);
      }
      return true;
    });
  }

  /** Takes a packed point out of the pool, where it is in it, unless somebody begins to need it there. */
  async shed(point: CheckpointId, isNeeded: () => boolean): Promise<void> {
    await this.#lock.run(point, async () => {
      if (this.get(point) !== undefined && !isNeeded()) await this.#pool.drop([point]);
    });
  }

  /** Takes away what points that are not wanted any more were packed into, and bases that nothing stands on. */
  async collect(isWanted: (point: CheckpointId) => boolean): Promise<void> {
    for (const point of [...this.#points.keys()]) {
      if (!isWanted(point)) await this.#forget(point);
    }
    await this.#lock.run("bases", async () => {
      const needed = new Set([...this.#points.values()].map(({ base }) => base && nameOf(base)));
      const idle = this.#baseNames().filter((name) => !needed.has(name) && !this.#wanted.has(name));
      if (idle.length > 0) await this.#delete(idle.map((name) => this.#place("bases", name)));
    });
  }

  /** Makes a snapshot of a point, which may go from then on, and keeps it although nothing stands on it. */
  async #makeBase(base: Base, sandbox: SandboxId): Promise<void> {
    const path = this.#place("bases", nameOf(base));
    await this.#lock.run("bases", async () => {
      this.#wanted.add(nameOf(base));
      if (existsSync(path)) return;
      mkdirSync(this.#place("bases"), { recursive: true, mode: 0o700 });
      const source = this.#pool.checkpointPath(base.point);
      await this.#pool.apply([{ do: "snapshot", source, path, group: groupOf(sandbox), readOnly: true }]);
    });
  }

  async #forget(point: CheckpointId): Promise<void> {
    const packed = this.#points.get(point);
    if (packed === undefined) return;
    this.#points.delete(point);
    this.#usedAt.delete(point);
    await rm(this.#fileOf(point, packed), { force: true });
  }

  #has(base: Base): boolean {
    return existsSync(this.#place("bases", nameOf(base)));
  }

  #baseNames(): readonly string[] {
    return namesIn(this.#place("bases"))
      .filter((name) => BASE.test(name))
      .sort(byPoint);
  }

  /** What is unpacked in a place is below a subvolume of its own. */
  async #clear(place: string): Promise<void> {
    const around = this.#place("unpacking", place);
    await this.#delete([...namesIn(around).map((name) => join(around, name)), around]);
  }

  async #delete(paths: readonly string[]): Promise<void> {
    await this.#pool.apply(paths.map((path) => ({ do: "delete", path })));
  }

  #fileOf(point: CheckpointId, { base }: PackedPoint): string {
    return join(this.#directory, `${point}${base === null ? "" : `@${nameOf(base)}`}.zst`);
  }

  #place(...names: readonly string[]): string {
    return join(this.#pool.directory, ...names);
  }
}

const nameOf = ({ sandbox, point }: Base): string => `${sandbox}.${point}`;

function baseOf(name: string): Base {
  const [, sandbox, point] = BASE.exec(name) ?? [];
  return { sandbox: sandbox as SandboxId, point: point as CheckpointId };
}

const byPoint = (a: string, b: string): number => (baseOf(a).point < baseOf(b).point ? -1 : 1);

function namesIn(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
