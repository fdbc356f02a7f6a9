import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PoolStep } from "../../model/checkpoint.ts";
import type { ErrorCode } from "../../model/errors.ts";
import { PlyboxError } from "../../model/errors.ts";
import { newCheckpointId, newSandboxId } from "../../model/ids.ts";
import type { PoolLauncher } from "./snapshot-pool.ts";
import { groupOf, SnapshotPool } from "./snapshot-pool.ts";

let directory: string;
const asked: PoolStep[] = [];
let failure: PlyboxError | undefined;
const answer = async (): Promise<void> => {
  if (failure !== undefined) throw failure;
};
/** What the kernel makes of the steps is the integration tests' affair: here the pool is a plain directory. */
const launcher: PoolLauncher = {
  mountMemory: answer,
  async mountPool(_image, target) {
    await answer();
    mkdirSync(target, { recursive: true });
  },
  async subvolumes(steps) {
    asked.push(...steps);
    await answer();
  },
  unmount: answer,
};

function poolOf(): SnapshotPool {
  const image = join(directory, "image", "pool.btrfs");
  mkdirSync(join(directory, "image"));
  writeFileSync(image, "");
  return new SnapshotPool({ medium: "disk", directory: join(directory, "pool"), image, bytes: () => 0, launcher });
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "plybox-pool-"));
  asked.length = 0;
  failure = undefined;
});
afterEach(() => rmSync(directory, { recursive: true }));

describe("a pool", () => {
  const sandbox = newSandboxId();

  it("bounds an upper before it makes it", async () => {
    const pool = poolOf();
    await pool.makeUpper({ sandbox, revision: 1 }, 5);
    const [path, group] = [pool.directory, groupOf(sandbox)];
    expect(asked).toEqual([
      { do: "limit", path, group, bytes: 5 },
      { do: "create", path: join(path, "uppers", `${sandbox}.1`), group },
    ]);
  });

  it("drops every upper of a sandbox but the one that is named, and none of another", async () => {
    const pool = poolOf();
    await pool.open();
    const other = newSandboxId();
    for (const name of [`${sandbox}.1`, `${sandbox}.2`, `${sandbox}.10`, `${other}.1`, "lost+found"]) {
      mkdirSync(join(pool.directory, "uppers", name));
    }
    expect(pool.uppers()).toHaveLength(4);
    await pool.dropUppers(sandbox, 10);
    const paths = asked.map(({ path }) => path).sort();
    expect(paths).toEqual([1, 2].map((revision) => join(pool.directory, "uppers", `${sandbox}.${revision}`)));
  });

  it("asks for nothing where there is nothing to drop", async () => {
    const pool = poolOf();
    await pool.drop([newCheckpointId()]);
    await pool.open();
    await pool.drop([]);
    await pool.dropUppers(sandbox);
    expect(asked).toEqual([]);
  });

  it.each<[string, ErrorCode]>([
    ["ENOSPC", "checkpoint/no-space"],
    ["EDQUOT", "checkpoint/no-space"],
    ["EIO", "launcher/failed"],
  ])("tells %s as %s", async (errno, code) => {
    const pool = poolOf();
    await pool.open();
    failure = new PlyboxError("launcher/failed", "subvolumes: no", { step: "subvolumes", errno });
    await expect(pool.keep({ sandbox, revision: 1 }, newCheckpointId())).rejects.toMatchObject({ code, errno });
  });

  it("that this machine cannot mount is missing, and is tried again by whoever asks next", async () => {
    const pool = poolOf();
    failure = new PlyboxError("launcher/failed", "count-bytes: no", { step: "count-bytes", errno: "EINVAL" });
    const refusal = { code: "host/missing", field: "upper.snapshots", step: "count-bytes" };
    await expect(pool.makeUpper({ sandbox, revision: 1 })).rejects.toMatchObject(refusal);
    failure = undefined;
    await pool.makeUpper({ sandbox, revision: 1 });
  });
});

it("each sandbox is a group of its own, within what a launcher takes", () => {
  const groups = Array.from({ length: 1000 }, () => groupOf(newSandboxId()));
  expect(new Set(groups).size).toBe(groups.length);
  for (const group of groups) expect(group > 0 && group < 2 ** 48).toBe(true);
});
