import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { mountsWith } from "../support/traces.ts";

const FACTS = fileURLToPath(new URL("../support/tree-facts.py", import.meta.url));
const SNAPSHOTS = { upper: { kind: "tmpfs", bytes: 64 * 1024 ** 2, snapshots: true } } as const;

let daemon: TestDaemon;
let pool: string;
let files: string;

beforeAll(async () => {
  daemon = new TestDaemon({ PLYBOX_SNAPSHOT_MEMORY: "1G", PLYBOX_SNAPSHOT_DISK: "1G" });
  await daemon.start();
  pool = join(daemon.directory, "run/pools/memory");
  files = join(daemon.directory, "state/snapshots/packed/memory");
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  expect(mountsWith(daemon.directory)).toEqual([]);
});

/** Runs a line that must succeed. */
async function sh(sandbox: Sandbox, line: string): Promise<string> {
  const { exitCode, stdout, stderr } = await sandbox.exec(line);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return stdout.trim();
}

/** All that the pool's file system knows of a checkpoint but where holes are: bytes, times to the nanosecond, attributes. */
const factsOf = (id: string): string =>
  execFileSync("python3", [FACTS, join(pool, "checkpoints", id, "upper")], { encoding: "utf8" });
const isInPool = (id: string): boolean => existsSync(join(pool, "checkpoints", id));

async function pack(id: string, wish: { readonly whole?: boolean } = {}) {
  const { packed } = await daemon.client.checkpoints.pack(id, wish);
  expect(packed).toMatchObject({ inPool: false, whole: wish.whole ?? false });
  expect(isInPool(id)).toBe(false);
  return packed;
}

/** One of everything that a file system can hold, beside what hides something of the layers. */
const EVERYTHING = `
  cd /srv
  mkdir plain opaque && echo text > plain/file && ln plain/file plain/hard && ln -s ../plain/file plain/soft
  chmod 2751 plain && chown 1000:1001 plain/file
  python3 - <<'PY'
import os, socket, struct
os.setxattr("/srv/plain/file", "user.note", b"kept\\x00bytes")
acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in
    [(1, 6, 0xffffffff), (2, 4, 5), (4, 4, 0xffffffff), (16, 4, 0xffffffff), (32, 0, 0xffffffff)])
os.setxattr("/srv/plain", "system.posix_acl_access", acl)
s = socket.socket(socket.AF_UNIX); s.bind("/srv/socket"); s.close()
f = os.open("/srv/sparse", os.O_CREAT | os.O_WRONLY); os.pwrite(f, b"end", 1 << 20); os.close(f)
PY
  touch -d @1000000000.123456789 plain/file
  mkfifo fifo
  rm /etc/services && rm -r /etc/ssl && mkdir /etc/ssl && echo mine > /etc/ssl/own`;

describe("a packed checkpoint", () => {
  it("is unpacked as it was to the nanosecond and the attribute, whole and as what differs", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    await sh(sandbox, EVERYTHING);
    const { checkpoint: all } = await sandbox.checkpoint();
    await sh(sandbox, "rm -r /srv/* /etc/ssl; echo other > /etc/services");
    const { checkpoint: later } = await sandbox.checkpoint({ name: "later" });
    const before = factsOf(all.id);
    expect((await pack(all.id))?.bytes).toBe(sizesOf(all.id)[0]);
    expect(await sandbox.restore(all.id)).toMatchObject({ unpacked: true, restarted: true });
    expect(factsOf(all.id)).toBe(before);
    expect(await sh(sandbox, "stat -c %b /srv/sparse")).toMatch(/^(8|16)$/);
    await sh(sandbox, "mv /srv/plain /srv/moved");

    const { checkpoint: again } = await sandbox.checkpoint();
    const facts = factsOf(again.id);
    expect(facts).not.toBe(before);
    await pack(again.id, { whole: true });
    const { sandboxes, unpacked } = await sandbox.fork({ from: again.id });
    expect(unpacked).toBe(true);
    expect(factsOf(again.id)).toBe(facts);
    await sandboxes[0]?.remove();
    await daemon.client.checkpoints.remove(later.id);
  });

  it("can be restored, undone to, forked, compared, merged and made a layer of", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    await sh(sandbox, "echo one > /srv/file");
    const { checkpoint: one } = await sandbox.checkpoint({ name: "one" });
    await sh(sandbox, "echo two > /srv/file; echo new > /srv/added");
    const { checkpoint: two } = await sandbox.checkpoint({ name: "two" });
    await sh(sandbox, "echo three > /srv/file");

    await pack(one.id);
    const { changes, unpacked } = await sandbox.diff("one", { to: "two", text: true });
    expect(unpacked).toBe(true);
    expect(changes.map(({ kind, path }) => [kind, path])).toEqual([
      ["added", "/srv/added"],
      ["changed", "/srv/file"],
    ]);
    expect(changes[1]?.text).toMatchObject({ unified: expect.stringContaining("-one\n+two") });
    // In the pool by now, so that nothing is unpacked.
    expect((await sandbox.diff("one", { to: "two" })).unpacked).toBe(false);

    await pack(one.id);
    const { sandboxes, unpacked: forForks } = await sandbox.fork({ from: "one", count: 2 });
    expect(forForks).toBe(true);
    for (const fork of sandboxes) expect(await sh(fork, "cat /srv/file")).toBe("one");

    await pack(one.id);
    const layer = await daemon.client.layers.fromSandbox("900-one", sandbox.id, { checkpoint: "one" });
    expect(layer.unpacked).toBe(true);
    const onLayer = await daemon.client.create({ layers: ["host", "900-one"] });
    expect(await sh(onLayer, "cat /srv/file")).toBe("one");

    await pack(one.id);
    const [fork, other] = sandboxes as [Sandbox, Sandbox];
    await sh(fork, "echo forked > /srv/forked");
    const merge = await other.merge({ from: fork.id });
    expect(merge).toMatchObject({ outcome: "merged", unpacked: true });
    expect(await sh(other, "cat /srv/forked")).toBe("forked");

    await pack(two.id);
    expect(await sandbox.undo()).toMatchObject({ unpacked: true, checkpoint: { id: two.id } });
    expect(await sh(sandbox, "cat /srv/file")).toBe("two");
    await pack(one.id);
    expect(await sandbox.restore("one")).toMatchObject({ unpacked: true });
    expect(await sh(sandbox, "cat /srv/file; ls /srv")).toBe("one\nfile");
    await Promise.all([...sandboxes, onLayer].map((each) => each.remove()));
    await daemon.client.checkpoints.remove(one.id);
    await daemon.client.checkpoints.remove(two.id);
    await daemon.client.layers.remove("900-one");
  });

  it("shares with the pool what it has in common with it, and makes room of the rest", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    await sh(sandbox, "head -c 8M /dev/urandom > /srv/kept; head -c 4M /dev/urandom > /srv/gone");
    const { checkpoint } = await sandbox.checkpoint();
    await sh(sandbox, "rm /srv/gone");
    await sandbox.checkpoint();
    const packed = await pack(checkpoint.id);
    // Noise does not get smaller: of the two files, the one that the pool has no more.
    expect(packed?.bytes).toBeGreaterThan(4 * 1024 ** 2);
    expect(packed?.bytes).toBeLessThan(5 * 1024 ** 2);
    // So much that of all that the sandbox may write a second copy of both files is not left, but of the one that went.
    await sh(sandbox, "head -c 46M /dev/urandom > /srv/more");
    expect((await sandbox.restore(checkpoint.id)).unpacked).toBe(true);
    expect(await sh(sandbox, "ls /srv")).toBe("gone\nkept");
  });

  it("goes with its sandbox, and what it stood on goes with the last that stands on it", async () => {
    const sandbox = await daemon.client.create(SNAPSHOTS);
    const ids: string[] = [];
    for (const step of [1, 2, 3, 4]) {
      await sh(sandbox, `echo ${step} > /srv/file`);
      ids.push((await sandbox.checkpoint(step === 2 ? { name: "kept" } : {})).checkpoint.id);
    }
    for (const id of ids.slice(0, 3)) await pack(id);
    // What the first two stand on is no checkpoint any more.
    await daemon.client.checkpoints.remove(ids[3] ?? "");
    expect((await sandbox.restore(ids[0] ?? "")).unpacked).toBe(true);
    expect(await sh(sandbox, "cat /srv/file")).toBe("1");
    await sandbox.remove();
    expect(readdirSync(files)).toHaveLength(1);
    expect(readdirSync(join(pool, "bases"))).toHaveLength(1);
    const { sandboxes, unpacked } = await daemon.client.checkpoints.fork(ids[1] ?? "");
    expect(unpacked).toBe(true);
    expect(await sh(sandboxes[0] as Sandbox, "cat /srv/file")).toBe("2");
    await daemon.client.checkpoints.remove(ids[1] ?? "");
    expect([readdirSync(files), readdirSync(join(pool, "bases"))]).toEqual([[], []]);
    await sandboxes[0]?.remove();
  });

  it("that is damaged is told as that, and stays as it is", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    await sh(sandbox, "head -c 100K /dev/urandom > /srv/file");
    const { checkpoint } = await sandbox.checkpoint();
    await pack(checkpoint.id, { whole: true });
    const [name = ""] = readdirSync(files).filter((each) => each.startsWith(checkpoint.id));
    truncateSync(join(files, name), 50_000);
    await expect(sandbox.restore(checkpoint.id)).rejects.toMatchObject({ code: "checkpoint/packing-failed" });
    expect(await sh(sandbox, "stat -c %s /srv/file")).toBe("102400");
    expect([isInPool(checkpoint.id), readdirSync(join(pool, "unpacking"))]).toEqual([false, []]);
  });

  it("is there for the next daemon, and one with all of it also when the pool is gone", async () => {
    const sandbox = await daemon.client.create(SNAPSHOTS);
    await sh(sandbox, "echo one > /srv/file");
    const { checkpoint: one } = await sandbox.checkpoint({ name: "one" });
    await sh(sandbox, "echo two > /srv/file");
    const { checkpoint: two } = await sandbox.checkpoint({ name: "two" });
    await sandbox.checkpoint();
    await pack(one.id, { whole: true });
    await pack(two.id);
    await daemon.restart();
    const timeline = await (await daemon.client.get(sandbox.id)).timeline();
    expect(timeline.checkpoints.map(({ packed }) => packed?.whole ?? null)).toEqual([true, false, null]);
    await (await daemon.client.get(sandbox.id)).restore("two");
    expect(await sh(await daemon.client.get(sandbox.id), "cat /srv/file")).toBe("two");
    await (await daemon.client.get(sandbox.id)).remove();
    const { sandboxes } = await daemon.client.checkpoints.fork(one.id);
    expect(await sh(sandboxes[0] as Sandbox, "cat /srv/file")).toBe("one");
    await sandboxes[0]?.remove();
    for (const { id } of [one, two]) await daemon.client.checkpoints.remove(id);
  });
});

describe("in the background", () => {
  const PATIENCE = { timeout: 60_000, interval: 50 };
  let busy: TestDaemon;
  beforeAll(async () => {
    busy = new TestDaemon({
      ...{ PLYBOX_KEEP_UNPACKED: "3", PLYBOX_PRESSURE_HIGH: "20", PLYBOX_SNAPSHOT_MEMORY: "256M" },
    });
    await busy.start({ packEveryMs: 20 });
  });
  afterAll(async () => {
    await busy[Symbol.asyncDispose]();
    expect(mountsWith(busy.directory)).toEqual([]);
  });
  const packedOf = async (sandbox: Sandbox): Promise<readonly boolean[]> =>
    (await sandbox.timeline()).checkpoints.map(({ packed }) => packed !== null && !packed.inPool);

  it("packs all but the newest, keeps what is named and what is not alike, and tells what they take", async () => {
    await using sandbox = await busy.client.create({ ...SNAPSHOTS, checkpoint: "per-exec", keepCheckpoints: 6 });
    for (const step of [1, 2, 3, 4, 5, 6]) await sh(sandbox, `echo ${step} > /srv/file`);
    await vi.waitFor(
      async () => expect(await packedOf(sandbox)).toEqual([true, true, true, false, false, false]),
      PATIENCE,
    );
    const { uppers, packedBytes } = await busy.client.storage.usage();
    const { checkpoints } = await sandbox.timeline();
    const bytes = checkpoints.reduce((sum, { packed }) => sum + (packed?.bytes ?? 0), 0);
    expect([packedBytes, uppers[0]?.packedBytes]).toEqual([bytes, bytes]);
    expect(bytes).toBeGreaterThan(0);

    expect((await sandbox.undo({ steps: 5 })).unpacked).toBe(true);
    expect(await sh(sandbox, "cat /srv/file")).toBe("1");
    // For commands the oldest of them go, but for such as are being packed, and so does what they were packed into.
    const directory = join(busy.directory, "state/snapshots/packed/memory");
    await vi.waitFor(async () => {
      await sh(sandbox, "true");
      const left = (await sandbox.timeline()).checkpoints.map(({ id }) => id);
      expect(left).not.toContain(checkpoints[0]?.id);
      expect(left).toEqual(
        expect.arrayContaining(readdirSync(directory).map((name) => name.slice(0, left[0]?.length))),
      );
    }, PATIENCE);
  });

  it("packs all but the newest of each sandbox where the pool is full, until it is not", async () => {
    await using sandbox = await busy.client.create({ upper: { ...SNAPSHOTS.upper, bytes: 256 * 1024 ** 2 } });
    for (const step of [1, 2, 3]) {
      await sh(sandbox, `head -c 20M /dev/urandom > /srv/noise; echo ${step} > /srv/file`);
      await sandbox.checkpoint({ name: `step-${step}` });
    }
    await vi.waitFor(async () => expect(await packedOf(sandbox)).toEqual([true, true, false]), PATIENCE);
    await sh(sandbox, "rm /srv/noise");
    const { sandboxes } = await sandbox.fork({ from: "step-2" });
    expect(await sh(sandboxes[0] as Sandbox, "cat /srv/file; stat -c %s /srv/noise")).toBe(`2\n${20 * 1024 ** 2}`);
    await sandboxes[0]?.remove();
  });
});

/** Bytes of the files that a checkpoint is packed into. */
const sizesOf = (id: string): readonly number[] =>
  readdirSync(files)
    .filter((name) => name.startsWith(id))
    .map((name) => statSync(join(files, name)).size);
