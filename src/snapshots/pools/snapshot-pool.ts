import { existsSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { roomOf } from "../../base/room-of.ts";
import type { Medium, PoolStep } from "../../model/checkpoint.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { CheckpointId, SandboxId } from "../../model/ids.ts";
import { ID_ALPHABET } from "../../model/ids.ts";
import type { UpperQuota } from "../../model/launch-plan.ts";
import { makeImage } from "./make-image.ts";
import { groupBytes, groupFiles, groupsOf } from "./pool-bytes.ts";

/** What a pool needs of the launcher; every method throws PlyboxError `launcher/failed` with step and errno. */
export interface PoolLauncher {
  mountMemory(target: string, bytes: number): Promise<void>;
  mountPool(image: string, target: string): Promise<void>;
  subvolumes(steps: readonly PoolStep[]): Promise<void>;
  unmount(target: string): Promise<void>;
}

export interface PoolOptions {
  readonly medium: Medium;
  /** Where it is mounted; no other process may use it. */
  readonly directory: string;
  /** The file that it is in. Of one in memory, a tmpfs is mounted on its directory. */
  readonly image: string;
  /** What it may hold; of an image that is there already, nothing changes. */
  readonly bytes: () => number;
  readonly launcher: PoolLauncher;
}

/** An upper of a sandbox: each restore gives it another revision. */
export interface UpperName {
  readonly sandbox: SandboxId;
  readonly revision: number;
}

/** An upper that is to begin with what a checkpoint holds. */
export interface GrownUpper {
  readonly upper: UpperName;
  /** What its sandbox may write, with its checkpoints; as much as there is, if absent. */
  readonly bytes?: number | undefined;
}

/** What else is done in the same step as the keeping of a checkpoint. */
export interface Beside {
  /** Checkpoints that make room for it. */
  readonly instead?: readonly CheckpointId[];
  /** An upper that begins with it. */
  readonly grown?: GrownUpper | undefined;
}

/** Room for the pages of the tmpfs itself, beside the image. */
const TMPFS_SHARE = 1 / 64;
const UPPER = /^(sb_[0-9a-z]{26})\.(\d+)$/;

export const upperIn = (pool: string, { sandbox, revision }: UpperName): string =>
  join(pool, "uppers", `${sandbox}.${revision}`);

/**
 * A copy-on-write file system whose subvolumes are uppers and checkpoints (docs/decisions/0014). It is made and mounted
 * when it is first needed. Bytes are counted for the sandbox that wrote them, checkpoints included.
 */
export class SnapshotPool {
  readonly medium: Medium;
  readonly directory: string;
  readonly #options: PoolOptions;
  #opening: Promise<void> | undefined;
  /** Where the kernel tells what is counted, null where it does not; found when it is first asked for. */
  #groups: string | null | undefined;

  constructor(options: PoolOptions) {
    this.medium = options.medium;
    this.directory = options.directory;
    this.#options = options;
  }

  /**
   * Makes it and mounts it, where that is not done.
   * @throws PlyboxError `host/missing` where this machine cannot
   */
  async open(): Promise<void> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    await this.#opening;
  }

  /** Opens it where an earlier process has made it; answers whether there is one. */
  async openKept(): Promise<boolean> {
    if (!existsSync(this.#options.image)) return false;
    await this.open();
    await this.#options.launcher.subvolumes([{ do: "prune", path: this.directory }]);
    await rm(join(this.directory, "plans"), { recursive: true, force: true });
    return true;
  }

  /** Makes an empty upper. @param bytes what its sandbox may write, with its checkpoints; as much as there is, if absent */
  async makeUpper(upper: UpperName, bytes?: number): Promise<void> {
    await this.open();
    const group = groupOf(upper.sandbox);
    await this.#change([this.#limit(group, bytes), { do: "create", path: this.#upper(upper), group }]);
  }

  /** Changes what a sandbox may write, with its checkpoints. */
  async limit(sandbox: SandboxId, bytes: number): Promise<void> {
    await this.#change([this.#limit(groupOf(sandbox), bytes)]);
  }

  /** Makes an upper that holds what a checkpoint holds; takes the place of what was left by that name. */
  async growUpper(grown: GrownUpper, checkpoint: CheckpointId): Promise<void> {
    await this.#change(this.#growing(grown, checkpoint));
  }

  /** Keeps what an upper holds at this moment; commands that run inside go on. */
  async keep(upper: UpperName, checkpoint: CheckpointId, { instead = [], grown }: Beside = {}): Promise<void> {
    const [source, path] = [this.#upper(upper), this.#checkpoint(checkpoint)];
    await this.#change([
      ...instead.map((each): PoolStep => ({ do: "delete", path: this.#checkpoint(each) })),
      { do: "snapshot", source, path, group: groupOf(upper.sandbox), readOnly: true },
      ...(grown === undefined ? [] : this.#growing(grown, checkpoint)),
    ]);
  }

  /** Keeps what a checkpoint holds once more, counted for a sandbox. */
  async keepCopy(of: CheckpointId, checkpoint: CheckpointId, sandbox: SandboxId): Promise<void> {
    const [source, path] = [this.#checkpoint(of), this.#checkpoint(checkpoint)];
    await this.#change([{ do: "snapshot", source, path, group: groupOf(sandbox), readOnly: true }]);
  }

  has(checkpoint: CheckpointId): boolean {
    return existsSync(this.#checkpoint(checkpoint));
  }

  /** Where the checkpoint can be read. */
  checkpointPath(checkpoint: CheckpointId): string {
    return this.#checkpoint(checkpoint);
  }

  /** A file for what is about to be done with an upper: it goes with the process at the latest. */
  planPath(sandbox: SandboxId): string {
    const directory = join(this.directory, "plans");
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return join(directory, sandbox);
  }

  /** Removes checkpoints; those that are gone count as removed. */
  async drop(checkpoints: readonly CheckpointId[]): Promise<void> {
    if (checkpoints.length === 0 || !this.#isMade()) return;
    await this.#change(checkpoints.map((checkpoint) => ({ do: "delete", path: this.#checkpoint(checkpoint) })));
  }

  /** Removes every upper of a sandbox but the one that is named. */
  async dropUppers(sandbox: SandboxId, except?: number): Promise<void> {
    const paths = this.uppers()
      .filter((upper) => upper.sandbox === sandbox && upper.revision !== except)
      .map((upper) => this.#upper(upper));
    if (paths.length > 0) await this.#change(paths.map((path) => ({ do: "delete", path })));
  }

  /** What a sandbox has written, with what checkpoints hold on to of it; null where nobody knows. */
  written(sandbox: SandboxId): number | null {
    const groups = this.#countedAt();
    return groups === null ? null : groupBytes(groups, groupOf(sandbox));
  }

  /** What holds an upper to so many bytes, for its sandbox to see when they are used up; undefined where nobody knows. */
  quota(sandbox: SandboxId, bytes: number): UpperQuota | undefined {
    const groups = this.#countedAt();
    return groups === null ? undefined : { bytes, ...groupFiles(groups, groupOf(sandbox)) };
  }

  /** How full it is; undefined where there is none. */
  room(): { readonly usedBytes: number; readonly totalBytes: number } | undefined {
    return this.#isMade() ? roomOf(this.directory) : undefined;
  }

  /** Does what others keep in it beside uppers and checkpoints. */
  async apply(steps: readonly PoolStep[]): Promise<void> {
    await this.#change(steps);
  }

  uppers(): readonly UpperName[] {
    return this.#names("uppers").flatMap((name) => {
      const [, sandbox, revision] = UPPER.exec(name) ?? [];
      return sandbox === undefined ? [] : [{ sandbox: sandbox as SandboxId, revision: Number(revision) }];
    });
  }

  checkpoints(): readonly CheckpointId[] {
    return this.#names("checkpoints") as CheckpointId[];
  }

  /** Unmounts it and removes its image, where nothing is in it. */
  async closeIfEmpty(): Promise<void> {
    const { launcher, directory, image, medium } = this.#options;
    if (!this.#isMade() || this.uppers().length > 0 || this.checkpoints().length > 0) return;
    if (this.#names("bases").length > 0) return;
    this.#opening = undefined;
    this.#groups = undefined;
    await launcher.unmount(directory);
    rmdirSync(directory);
    await rm(image, { force: true });
    if (medium !== "memory") return;
    await launcher.unmount(dirname(image));
    rmdirSync(dirname(image));
  }

  async #open(): Promise<void> {
    const { launcher, directory, image, medium } = this.#options;
    mkdirSync(dirname(directory), { recursive: true, mode: 0o700 });
    if (medium === "memory" && !existsSync(image)) {
      const bytes = this.#options.bytes();
      await launcher.mountMemory(dirname(image), Math.ceil(bytes * (1 + TMPFS_SHARE)));
    }
    if (!existsSync(image)) await makeImage(image, this.#options.bytes());
    await launcher.mountPool(image, directory).catch(asMissing);
    for (const name of ["uppers", "checkpoints"]) mkdirSync(join(directory, name), { recursive: true, mode: 0o700 });
  }

  async #change(steps: readonly PoolStep[]): Promise<void> {
    await this.#options.launcher.subvolumes(steps).catch(asNoSpace);
  }

  #growing({ upper, bytes }: GrownUpper, checkpoint: CheckpointId): readonly PoolStep[] {
    const group = groupOf(upper.sandbox);
    const path = this.#upper(upper);
    return [
      this.#limit(group, bytes),
      { do: "delete", path },
      { do: "snapshot", source: this.#checkpoint(checkpoint), path, group, readOnly: false },
    ];
  }

  #limit(group: number, bytes: number | undefined): PoolStep {
    return { do: "limit", path: this.directory, group, ...(bytes !== undefined && { bytes }) };
  }

  #countedAt(): string | null {
    if (!this.#isMade()) return null;
    if (this.#groups === undefined) this.#groups = groupsOf(this.directory) ?? null;
    return this.#groups;
  }

  #isMade(): boolean {
    return existsSync(join(this.directory, "uppers"));
  }

  #names(part: string): readonly string[] {
    const path = join(this.directory, part);
    return existsSync(path) ? readdirSync(path) : [];
  }

  #upper(upper: UpperName): string {
    return upperIn(this.directory, upper);
  }

  #checkpoint(checkpoint: CheckpointId): string {
    return join(this.directory, "checkpoints", checkpoint);
  }
}

/** What the bytes of a sandbox are counted by: the last 45 bits of chance in its id. */
export function groupOf(sandbox: SandboxId): number {
  let group = 0;
  for (const letter of sandbox.slice(-9)) group = group * 32 + ID_ALPHABET.indexOf(letter);
  return group || 1;
}

const FULL: ReadonlySet<string | undefined> = new Set(["ENOSPC", "EDQUOT"]);

function asNoSpace(error: unknown): never {
  if (!(error instanceof PlyboxError) || !FULL.has(error.errno)) throw error;
  const what = error.errno === "EDQUOT" ? "the sandbox may write no more" : "the pool of snapshots is full";
  throw new PlyboxError("checkpoint/no-space", what, { cause: error, errno: error.errno ?? "ENOSPC" });
}

function asMissing(error: unknown): never {
  if (!(error instanceof PlyboxError) || error.code !== "launcher/failed" || error.step === undefined) throw error;
  const why = error.step === "count-bytes" ? "Linux 6.7" : "btrfs and loop devices";
  throw new PlyboxError("host/missing", `snapshots need ${why}: ${error.message}`, {
    field: "upper.snapshots",
    step: error.step,
    cause: error,
  });
}
