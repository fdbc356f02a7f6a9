import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { EVERYTHING } from "../support/everything.ts";
import { NOTHING, remainsOf } from "../support/remains.ts";
import { sh } from "../support/sh.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { mountsWith } from "../support/traces.ts";

const SNAPSHOTS = { upper: { kind: "tmpfs", bytes: 64 * 1024 ** 2, snapshots: true } } as const;

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = new TestDaemon({ PLYBOX_SNAPSHOT_MEMORY: "1G", PLYBOX_SNAPSHOT_DISK: "1G" });
  await daemon.start();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  // A pool that nothing is in goes with its daemon.
  expect(mountsWith(daemon.directory)).toEqual([]);
});

/** What the layers and the upper show in some places: names, modes, owners, times, attributes, bytes. */
const HASH = `
  for d in /srv /etc/ssl /etc/services; do
    tar --sort=name --xattrs --xattrs-include='*' --pax-option=delete=atime,delete=ctime,exthdr.name=%d/%f -cf - $d
    find $d -printf '%p %y %m %U:%G %n %s %T@ %l\\n' | LC_ALL=C sort
  done 2>/dev/null | sha256sum`;
const hash = (sandbox: Sandbox): Promise<string> => sh(sandbox, HASH);

describe("a checkpoint", () => {
  it("holds whiteouts, opaque directories, links, attributes, holes, sockets and FIFOs", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    await sh(sandbox, EVERYTHING);
    const before = await hash(sandbox);
    const { checkpoint, mechanism, frozen } = await sandbox.checkpoint({ name: "all" });
    expect([mechanism, frozen]).toEqual(["copy-on-write", false]);
    expect(checkpoint).toMatchObject({ sandbox: sandbox.id, name: "all", state: "ready", medium: "memory" });
    await sh(sandbox, "rm -r /srv/* /etc/ssl; echo other > /etc/services");
    expect(await hash(sandbox)).not.toBe(before);

    const { sandboxes } = await sandbox.fork({ from: "all", count: 2 });
    const restored = await sandbox.restore("all");
    expect(restored).toMatchObject({ restarted: true, checkpoint: { id: checkpoint.id } });
    for (const each of [sandbox, ...sandboxes]) {
      expect(await hash(each)).toBe(before);
      expect(await sh(each, "ls /etc/ssl; ls /etc/services 2>&1 || true")).toMatch(/^own\nls: cannot access/);
      expect(await sh(each, "stat -c '%F %b' /srv/socket /srv/fifo; stat -c %b /srv/sparse")).toMatch(
        /^socket 0\nfifo 0\n(8|16)$/,
      );
      expect(await sh(each, "stat -c %i /srv/plain/file")).toBe(await sh(each, "stat -c %i /srv/plain/hard"));
    }
    await Promise.all(sandboxes.map((each) => each.remove()));
    await daemon.client.checkpoints.remove(checkpoint.id);
  });

  it("is one moment of all commands, which go on", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    // Two files that differ by one step at most, through descriptors that stay open.
    const writer = `python3 -uc '
import os
a, b = (os.open(f"/srv/{n}", os.O_CREAT | os.O_RDWR) for n in "ab")
i = 0
while True:
  i += 1
  os.pwrite(a, b"%08d" % i, 0)
  os.pwrite(b, b"%08d" % i, 0)
  if i == 1: print("go")'`;
    const command = await sandbox.spawn(writer);
    for await (const event of command) if (event.kind === "output") break;
    for (let round = 0; round < 5; round++) {
      const { frozen, sandboxes } = await sandbox.fork();
      expect(frozen).toBe(true);
      const [fork] = sandboxes as [Sandbox];
      const [a, b] = (await sh(fork, "cat /srv/a; echo; cat /srv/b")).split("\n").map(Number) as [number, number];
      expect([0, 1]).toContain(a - b);
      expect(await sh(fork, "cat /srv/a")).toBe(String(a).padStart(8, "0"));
      await fork.remove();
    }
    expect((await sandbox.inspectExec(command.exec)).running).toBe(true);
    await command.kill("SIGKILL");
  });

  it("is refused, with what to do about it, where the upper has no snapshots", async () => {
    await using sandbox = await daemon.client.create();
    for (const attempt of [() => sandbox.checkpoint(), () => sandbox.fork(), () => sandbox.undo()]) {
      const refusal = { code: "checkpoint/unsupported", message: expect.stringContaining("upper.snapshots") };
      await expect(attempt()).rejects.toMatchObject(refusal);
    }
  });

  it("of a name that is taken is refused, and changes nothing", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    const { checkpoint } = await sandbox.checkpoint({ name: "one" });
    await expect(sandbox.checkpoint({ name: "one" })).rejects.toMatchObject({ code: "checkpoint/name-taken" });
    expect(await sandbox.timeline()).toMatchObject({ head: checkpoint.id, checkpoints: [{ id: checkpoint.id }] });
    await daemon.client.checkpoints.remove(checkpoint.id);
    expect(await sandbox.timeline()).toMatchObject({ head: null, checkpoints: [] });
    await expect(sandbox.restore("one")).rejects.toMatchObject({ code: "checkpoint/not-found" });
  });

  it("counts towards what its sandbox may write, and gives it back", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    await sh(sandbox, "head -c 40M /dev/urandom > /srv/large && sync /srv/large");
    const { checkpoint } = await sandbox.checkpoint();
    await sh(sandbox, "rm /srv/large");
    const full = await sandbox.exec("head -c 40M /dev/urandom > /srv/more && sync /srv/more");
    expect(full).toMatchObject({ limit: "disk", limitsMet: { upperFull: "bytes" } });
    expect(full.stderr).toMatch(/quota|space/i);
    // It is full, and that is not what this one fails at.
    expect(await sandbox.exec("exit 3")).toMatchObject({ exitCode: 3, limit: null });
    // A fork begins with nothing of its own.
    const { sandboxes } = await sandbox.fork({ from: checkpoint.id });
    await sh(sandboxes[0] as Sandbox, "head -c 40M /dev/urandom > /srv/more && sync /srv/more");
    await Promise.all(sandboxes.map((each) => each.remove()));
  });

  it("is taken apart soon after it was removed, and so is its sandbox's upper", async () => {
    const sandbox = await daemon.client.create(SNAPSHOTS);
    await sandbox.checkpoint();
    await sandbox.remove();
    const [pool = ""] = mountsWith(join(daemon.config.runDir, "pools/memory "));
    // Otherwise the kernel lets half a minute pass, in which each of them makes every checkpoint take longer.
    expect(pool.split(",")).toContain("commit=1");
    const deleted = () =>
      execFileSync("btrfs", ["subvolume", "list", "-d", pool.split(" ")[4] ?? ""], { encoding: "utf8" });
    await expect.poll(deleted, { timeout: 60_000 }).toBe("");
  });
});

describe("per-exec checkpoints", () => {
  it("undo any number of commands exactly", async () => {
    await using sandbox = await daemon.client.create({ ...SNAPSHOTS, checkpoint: "per-exec", keepCheckpoints: 200 });
    await sh(sandbox, EVERYTHING);
    const hashes: string[] = [];
    // Each command tells what it found, and changes it.
    for (let step = 0; step < 100; step++) {
      const change = [
        `echo ${step} > /srv/plain/file`,
        `mkdir /srv/d${step} && python3 -c 'import os; os.setxattr("/srv/d${step}", "user.n", b"${step}")'`,
        `rm -rf /srv/d${step - 1}; chmod ${(step % 8) * 100 + 55} /srv/plain`,
        `ln -f /srv/plain/file /srv/link${step}; rm -f /etc/host.conf; date +%N > /etc/host.conf`,
      ][step % 4];
      hashes.push(await sh(sandbox, `${HASH}; ${change}`));
    }
    const { checkpoints } = await sandbox.timeline();
    expect(checkpoints).toHaveLength(101);
    expect(checkpoints.at(-1)).toMatchObject({
      cause: { type: "exec", command: expect.stringContaining("/srv") },
    });

    await sandbox.undo({ steps: 100 });
    expect(await hash(sandbox)).toBe(hashes[0]);
    await sandbox.undo();
    await expect(sandbox.undo({ steps: 1000 })).rejects.toMatchObject({ code: "checkpoint/none" });
  });

  it("keep the newest, and whatever has a name", async () => {
    await using sandbox = await daemon.client.create({ ...SNAPSHOTS, checkpoint: "per-exec", keepCheckpoints: 3 });
    const { checkpoint } = await sandbox.checkpoint({ name: "first" });
    for (let step = 1; step <= 6; step++) await sh(sandbox, `echo ${step} > /srv/step`);
    const { checkpoints } = await sandbox.timeline();
    expect(checkpoints.map(({ name, cause }) => name ?? (cause as { command: string }).command)).toEqual([
      "first",
      ...[4, 5, 6].map((step) => `echo ${step} > /srv/step`),
    ]);
    // The oldest that is left has come from the one that stays.
    expect(checkpoints[1]?.parent).toBe(checkpoints[0]?.id);
    await sandbox.undo({ steps: 3 });
    expect(await sh(sandbox, "cat /srv/step")).toBe("3");
    await daemon.client.checkpoints.remove(checkpoint.id);
  });
});

describe("undo", () => {
  it("goes back step by step, and is undone by a restore of what was before", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    for (const step of [1, 2]) {
      await sh(sandbox, `echo ${step} > /srv/step`);
      await sandbox.checkpoint();
    }
    await sh(sandbox, "echo 3 > /srv/step");
    const { before } = await sandbox.undo();
    const steps = [await sh(sandbox, "cat /srv/step")];
    // Reading is a command too, which may have changed something.
    await sandbox.undo();
    await sandbox.undo();
    steps.push(await sh(sandbox, "cat /srv/step"));
    expect(steps).toEqual(["2", "1"]);
    await sandbox.restore(before ?? "");
    expect(await sh(sandbox, "cat /srv/step")).toBe("3");
  });

  it("of a sandbox that is stopped leaves it stopped", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    await sh(sandbox, "echo 1 > /srv/step");
    await sandbox.checkpoint();
    await sh(sandbox, "echo 2 > /srv/step");
    await sandbox.stop();
    expect(await sandbox.undo()).toMatchObject({ restarted: false, sandbox: { state: { kind: "stopped" } } });
    await sandbox.start();
    expect(await sh(sandbox, "cat /srv/step")).toBe("1");
  });
});

describe("a diff", () => {
  it("tells what was added, removed and changed since a point, and leaves the time line as it is", async () => {
    await using sandbox = await daemon.client.create(SNAPSHOTS);
    await sh(sandbox, "mkdir /srv/d; echo one > /srv/d/file; echo gone > /srv/old; ln -s a /srv/kind");
    const { checkpoint } = await sandbox.checkpoint({ name: "one" });
    await sh(
      sandbox,
      "echo two > /srv/d/file; rm /srv/old /srv/kind; mkfifo /srv/kind; rm /etc/services; chmod 700 /srv/d",
    );
    const { from, to, changes, more } = await sandbox.diff("one", { text: true });
    expect([from, to, more]).toEqual([checkpoint.id, null, false]);
    expect(changes).toEqual([
      { kind: "removed", path: "/etc/services", aspects: [], text: expect.objectContaining({ kind: "text" }) },
      { kind: "changed", path: "/srv/d", aspects: ["mode"] },
      {
        ...{ kind: "changed", path: "/srv/d/file", aspects: ["content"] },
        text: { kind: "text", unified: expect.stringMatching(/^@@ -1 \+1 @@\n-one\n\+two\n/m) },
      },
      { kind: "type-changed", path: "/srv/kind", aspects: [] },
      { kind: "removed", path: "/srv/old", aspects: [], text: expect.objectContaining({ kind: "text" }) },
    ]);
    expect(await sandbox.diff("one", { limit: 2 })).toMatchObject({ changes: [{}, {}], more: true });
    expect(await sandbox.timeline()).toMatchObject({ head: checkpoint.id, checkpoints: [{ name: "one" }] });
    await sandbox.checkpoint({ name: "two" });
    expect((await sandbox.diff("two", { to: "one" })).changes.map(({ kind }) => kind)).toEqual([
      ...["added", "changed", "changed", "type-changed", "added"],
    ]);
    expect((await sandbox.diff("two")).changes).toEqual([]);
    for (const { id } of (await sandbox.timeline()).checkpoints) await daemon.client.checkpoints.remove(id);
  });
});

describe("forks", () => {
  it("are sandboxes of their own: names, ids, incarnation, and nobody sees what another writes", async () => {
    const spec = { ...SNAPSHOTS, name: "parent", env: { KIND: "forked" }, labels: { team: "red" } };
    await using parent = await daemon.client.create(spec);
    await sh(parent, "echo parent > /srv/who");
    const { sandboxes, checkpoint } = await parent.fork({ count: 3, name: "child" });
    expect(sandboxes.map(({ name }) => name)).toEqual(["child-1", "child-2", "child-3"]);
    await Promise.all(sandboxes.map((each) => sh(each, `echo ${each.name} >> /srv/who`)));
    for (const each of sandboxes) {
      const { incarnation, lineage, labels, hostname } = each.view;
      expect({ incarnation, labels, hostname }).toEqual({
        incarnation: 1,
        labels: { team: "red" },
        hostname: each.name,
      });
      expect(lineage).toMatchObject({ forkedFrom: { sandbox: parent.id, checkpoint: checkpoint.id } });
      expect(await sh(each, "cat /srv/who; stat -c %u:%g /srv/who; echo $KIND")).toBe(
        `parent\n${each.name}\n0:0\nforked`,
      );
    }
    expect(await sh(parent, "cat /srv/who")).toBe("parent");
    await expect(parent.fork({ name: "child-1" })).rejects.toMatchObject({ code: "sandbox/name-taken" });
    await Promise.all(sandboxes.map((each) => each.remove()));
  });

  it("outlive their parent, and its checkpoints with a name or with a fork do", async () => {
    const parent = await daemon.client.create(SNAPSHOTS);
    await sh(parent, "echo kept > /srv/who");
    await parent.checkpoint({ name: "kept" });
    await parent.checkpoint();
    const { sandboxes } = await parent.fork();
    const [fork] = sandboxes as [Sandbox];
    await parent.remove();
    const left = (await daemon.client.checkpoints.list()).filter(({ sandbox }) => sandbox === parent.id);
    expect(left.map(({ name, cause }) => name ?? cause.type)).toEqual(["kept", "fork"]);
    expect(await sh(fork, "cat /srv/who")).toBe("kept");
    await sh(fork, "echo changed > /srv/who");
    await fork.undo();
    expect(await sh(fork, "cat /srv/who")).toBe("kept");
    await fork.remove();
    const kept = (await daemon.client.checkpoints.list()).filter(({ sandbox }) => sandbox === parent.id);
    expect(kept.map(({ name }) => name)).toEqual(["kept"]);
    const again = await daemon.client.checkpoints.fork(kept[0]?.id ?? "");
    expect(await sh(again.sandboxes[0] as Sandbox, "cat /srv/who")).toBe("kept");
    await again.sandboxes[0]?.remove();
    await daemon.client.checkpoints.remove(kept[0]?.id ?? "");
  });
});

it("nothing is left of sandboxes and checkpoints that are removed", async () => {
  expect(await daemon.client.checkpoints.list()).toEqual([]);
  expect(remainsOf(daemon)).toEqual(NOTHING);
  const pools = join(daemon.config.runDir, "pools");
  for (const medium of ["memory", "disk"].filter((each) => existsSync(join(pools, each)))) {
    for (const part of ["uppers", "checkpoints"]) expect(readdirSync(join(pools, medium, part))).toEqual([]);
  }
  expect(dirname(pools)).toBe(daemon.config.runDir);
});
