import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import type { CheckpointId } from "../../model/ids.ts";
import { newCheckpointId, newSandboxId } from "../../model/ids.ts";
import { NativeLauncher } from "../../native/launcher.ts";
import { snapshotPools } from "../pools/snapshot-pools.ts";
import { PackedPoints } from "./packed-points.ts";

const support = (name: string): string => fileURLToPath(new URL(`../../../test/support/${name}`, import.meta.url));
const [SHAKER, FACTS] = [support("tree-shaker.py"), support("tree-facts.py")];

const directory = mkdtempSync(join(tmpdir(), "plybox-packed-"));
const launcher = new NativeLauncher({ private: false });
const pool = snapshotPools({
  stateDir: join(directory, "state"),
  runDir: join(directory, "run"),
  launcher,
  bytes: { memory: 512 * 1024 ** 2, disk: null },
}).memory;
const files = join(directory, "packed");
const sandbox = newSandboxId();
const upper = { sandbox, revision: 1 };
const factsOf = (id: CheckpointId): string =>
  execFileSync("python3", [FACTS, join(pool.checkpointPath(id), "upper")], { encoding: "utf8" });

beforeAll(async () => {
  await pool.makeUpper(upper);
  mkdirSync(join(pool.directory, "uppers", `${sandbox}.1`, "upper"));
});
afterAll(async () => {
  await new PackedPoints(pool, files).collect(() => false);
  await pool.dropUppers(sandbox);
  await pool.drop(pool.checkpoints());
  await pool.closeIfEmpty();
  await launcher.close();
  expect(readdirSync(join(directory, "run", "pools"))).toEqual([]);
  rmSync(directory, { recursive: true });
});

/** Keeps what the upper holds, after so many changes at random. */
async function takePoint(seed: number, changes: number): Promise<CheckpointId> {
  const path = join(pool.directory, "uppers", `${sandbox}.1`, "upper");
  execFileSync("python3", [SHAKER, String(seed), String(changes), path]);
  const id = newCheckpointId();
  await pool.keep(upper, id);
  return id;
}

describe("points that are packed", () => {
  it("are unpacked as they were, whatever was changed, packed against what, and dropped, by whatever process", async () => {
    const random = seededRandom(20_261_122);
    const below = (count: number): number => Math.floor(random() * count);
    let packed = new PackedPoints(pool, files);
    const facts = new Map<CheckpointId, string>();
    const pick = (): CheckpointId => [...facts.keys()][below(facts.size)] as CheckpointId;
    const seen = { whole: 0, older: 0, newer: 0, unpacked: 0 };
    for (let step = 0; step < 50; step++) {
      const what = facts.size < 4 ? 0 : below(10);
      if (what < 2) {
        const id = await takePoint(step, 30);
        facts.set(id, factsOf(id));
      } else if (what < 6) {
        const [point, other] = [pick(), pick()];
        if (packed.get(point) === undefined) {
          const base = other !== point && pool.has(other) ? { sandbox, point: other } : null;
          await packed.pack(point, { sandbox, base });
          expect(packed.get(point)?.base).toEqual(base);
          seen[base === null ? "whole" : base.point < point ? "older" : "newer"] += 1;
        }
        await packed.shed(point, () => false);
        expect(pool.has(point)).toBe(false);
      } else if (what < 8) {
        const point = pick();
        if (await packed.unpack(point, sandbox)) seen.unpacked += 1;
        expect([point, factsOf(point)]).toEqual([point, facts.get(point)]);
      } else if (what === 8) {
        const point = pick();
        facts.delete(point);
        await pool.drop([point]);
        await packed.collect((id) => facts.has(id));
      } else {
        packed = new PackedPoints(pool, files);
        await packed.recover();
      }
    }
    for (const [point, was] of facts) {
      await packed.unpack(point, sandbox);
      expect([point, factsOf(point)]).toEqual([point, was]);
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(1);
    await packed.collect(() => false);
    expect([readdirSync(files), readdirSync(join(pool.directory, "bases"))]).toEqual([[], []]);
    await pool.drop([...facts.keys()]);
  });

  it("are what they were when packing them is broken off, of which nothing stays but the base until it is collected", async () => {
    const packed = new PackedPoints(pool, files);
    const [point, later] = [await takePoint(1000, 60), await takePoint(1001, 20)];
    const stop = AbortSignal.abort();
    const base = { sandbox, point: later };
    await expect(packed.pack(point, { sandbox, base, signal: stop })).rejects.toMatchObject({ code: "aborted" });
    expect([packed.get(point), readdirSync(files)]).toEqual([undefined, []]);
    await packed.shed(point, () => false);
    expect(pool.has(point)).toBe(true);
    expect(packed.bases()).toEqual([{ base, points: 0 }]);
    await packed.collect(() => true);
    expect(packed.bases()).toEqual([]);
    await pool.drop([point, later]);
  });

  it("stay in the pool while somebody needs them there", async () => {
    const packed = new PackedPoints(pool, files);
    const point = await takePoint(2000, 10);
    await packed.pack(point, { sandbox, base: null });
    await packed.shed(point, () => true);
    expect(pool.has(point)).toBe(true);
    await packed.collect(() => false);
    await pool.drop([point]);
  });

  it("are lost with what they stand on, and what another process left half done is taken away", async () => {
    const [point, later] = [await takePoint(3000, 10), await takePoint(3001, 10)];
    const before = new PackedPoints(pool, files);
    await before.pack(point, { sandbox, base: { sandbox, point: later } });
    writeFileSync(join(files, `${later}.zst.part`), "half");
    await pool.apply([{ do: "delete", path: join(pool.directory, "bases", `${sandbox}.${later}`) }]);
    const packed = new PackedPoints(pool, files);
    await packed.recover();
    expect(readdirSync(files)).toHaveLength(1);
    expect(packed.get(point)).toBeUndefined();
    await pool.drop([point]);
    await expect(packed.unpack(point, sandbox)).rejects.toMatchObject({ code: "checkpoint/lost" });
    await packed.collect(() => false);
    await pool.drop([later]);
  });
});
