import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { sh } from "../support/sh.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { mountsWith } from "../support/traces.ts";

const SPEC = { layers: ["busybox"], upper: { kind: "tmpfs", bytes: 64 * 1024 ** 2, snapshots: true } } as const;

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = new TestDaemon({ PLYBOX_SNAPSHOT_MEMORY: "1G" });
  await daemon.start();
});
afterAll(async () => {
  for (const { id } of await daemon.client.checkpoints.list()) await daemon.client.checkpoints.remove(id);
  await daemon[Symbol.asyncDispose]();
  expect(mountsWith(daemon.directory)).toEqual([]);
});

/** A sandbox with some files, and a fork of it. */
async function parentAndFork(): Promise<{ parent: Sandbox; fork: Sandbox; [Symbol.asyncDispose](): Promise<void> }> {
  const parent = await daemon.client.create(SPEC);
  await sh(parent, "mkdir -p /srv/d && cd /srv && echo a > a && echo b > b && echo c > d/c && rm /bin/watch");
  const { sandboxes } = await parent.fork();
  const [fork] = sandboxes as [Sandbox];
  const dispose = async () => {
    await fork[Symbol.asyncDispose]();
    await parent[Symbol.asyncDispose]();
  };
  return { parent, fork, [Symbol.asyncDispose]: dispose };
}

const uppersOf = async (sandbox: Sandbox) => ({ ...(await sandbox.inspect()).lineage, head: null });

describe("a merge", () => {
  it("brings in what the fork has changed and keeps what the parent has, owners, links and removals with it", async () => {
    await using pair = await parentAndFork();
    const { parent, fork } = pair;
    await sh(parent, "echo parent > /srv/b; echo new > /srv/mine");
    await sh(
      fork,
      `cd /srv && echo A > a && rm -r d && mkdir d && echo other > d/e && ln a twin && ln -s a soft && rm /bin/vi
       chown 7:8 a && chmod 4751 a && echo back > /bin/watch`,
    );
    const merged = await parent.merge({ from: fork.id });
    expect(merged).toMatchObject({
      outcome: "merged",
      restarted: true,
      conflictCount: 0,
      conflicts: [],
    });
    expect(merged.changes.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      "removed /bin/vi",
      "written /bin/watch",
      "written /srv/a",
      "removed /srv/d/c",
      "written /srv/d/e",
      "written /srv/soft",
      "written /srv/twin",
    ]);
    expect(await sh(parent, "cd /srv && cat a b mine d/e soft && ls d && ls /bin/vi 2>&1 || true")).toMatch(
      /^A\nparent\nnew\nother\nA\ne\nls: .*No such file/,
    );
    expect(await sh(parent, "stat -c '%u:%g %a %h' /srv/a; cat /bin/watch")).toBe("7:8 4751 2\nback");
    await sh(parent, "echo still writable >> /srv/a");
    expect(await sh(fork, "cat /srv/b")).toBe("b");
    // What was there before is one step back.
    expect((await parent.undo()).checkpoint.id).toBe(merged.before);
    expect(await sh(parent, "cat /srv/a /srv/d/c /srv/b")).toBe("a\nc\nparent");
  });

  it("is written down with what was merged into what, and so is a layer that is made of a sandbox", async () => {
    await using pair = await parentAndFork();
    const { parent, fork } = pair;
    const { client } = daemon;
    await sh(fork, "echo layer > /srv/layer");
    await fork.update({ name: "theirs" });
    const { checkpoint } = await fork.checkpoint();
    for (const from of ["theirs", checkpoint.id, "nobody"]) await parent.merge({ from }).catch(() => {});
    await client.layers.fromSandbox("900-theirs", "theirs");
    await client.layers.remove("900-theirs");
    const entries = (await client.audit({ limit: 5 })).reverse();
    expect(entries.map(({ action, sandbox, from, status }) => ({ action, sandbox, from, status }))).toEqual([
      { action: "mergeSandbox", sandbox: parent.id, from: fork.id, status: 200 },
      { action: "mergeSandbox", sandbox: parent.id, from: checkpoint.id, status: 200 },
      { action: "mergeSandbox", sandbox: parent.id, from: null, status: 404 },
      { action: "captureLayer", sandbox: fork.id, from: null, status: 201 },
      { action: "removeLayer", sandbox: null, from: null, status: 204 },
    ]);
    const about = await client.audit({ sandbox: fork.id });
    expect(about.filter(({ action }) => action === "mergeSandbox")).toMatchObject([{ sandbox: parent.id }]);
  });

  it("tells what both changed and writes nothing, until a side is named; commands go on meanwhile", async () => {
    await using pair = await parentAndFork();
    const { parent, fork } = pair;
    await sh(parent, "echo parent > /srv/a; rm /srv/b");
    await sh(fork, "echo fork > /srv/a; echo fork > /srv/b; echo free > /srv/free");
    const sleeping = await parent.spawn("sleep 1000");
    const before = await uppersOf(parent);
    const refused = await parent.merge({ from: fork.id });
    expect(refused).toMatchObject({ outcome: "conflicts", before: null, restarted: false, frozen: true });
    expect(refused.conflicts).toEqual([
      { path: "/srv/a", reason: "both-changed", ours: "changed", theirs: "changed" },
      { path: "/srv/b", reason: "ours-removed", ours: "removed", theirs: "changed" },
    ]);
    const planned = await parent.merge({ from: fork.id, onConflict: "theirs", dryRun: true });
    expect(planned).toMatchObject({ outcome: "planned", before: null, restarted: false, changeCount: 3 });
    expect(await uppersOf(parent)).toEqual(before);
    expect(await sh(parent, "cat /srv/a; ls /srv")).toBe("parent\na\nd");
    expect((await parent.inspectExec(sleeping.exec)).running).toBe(true);

    expect(await parent.merge({ from: fork.id, onConflict: "ours" })).toMatchObject({ outcome: "merged" });
    expect(await sh(parent, "cat /srv/a /srv/free; ls /srv")).toBe("parent\nfree\na\nd\nfree");
    await parent.undo();
    expect(await parent.merge({ from: fork.id, onConflict: "theirs" })).toMatchObject({ outcome: "merged" });
    expect(await sh(parent, "cat /srv/a /srv/b")).toBe("fork\nfork");
    // That it was merged is no step of the fork's own.
    expect((await fork.undo()).checkpoint.id).toBe(fork.view.lineage?.forkedFrom?.checkpoint);
  });

  it("takes the paths alone that are named, and the rest later", async () => {
    await using pair = await parentAndFork();
    const { parent, fork } = pair;
    await sh(fork, "echo A > /srv/a; echo B > /srv/b; mkdir -p /srv/new/deep; echo x > /srv/new/deep/x.ts");
    const some = await parent.merge({ from: fork.id, paths: ["**/*.ts", "/srv/b"] });
    expect(some).toMatchObject({ outcome: "merged", changeCount: 4 });
    expect(await sh(parent, "cat /srv/a /srv/b /srv/new/deep/x.ts")).toBe("a\nB\nx");
    await sh(parent, "echo mine > /srv/mine");
    expect((await parent.merge({ from: fork.id })).changes).toEqual([{ kind: "written", path: "/srv/a" }]);
    expect(await sh(parent, "cat /srv/a /srv/mine")).toBe("A\nmine");
    expect(await parent.merge({ from: fork.id })).toMatchObject({ outcome: "unchanged", restarted: false });
  });

  it("that is only planned, and a comparison, leave what an undo goes back to", async () => {
    await using pair = await parentAndFork();
    const { parent, fork } = pair;
    const { checkpoint: first } = await parent.checkpoint({ name: "first" });
    await sh(parent, "echo B > /srv/b");
    const { checkpoint: second } = await parent.checkpoint({ name: "second" });
    await parent.restore(second.id);
    expect(await parent.merge({ from: fork.id, dryRun: true })).toMatchObject({ outcome: "unchanged" });
    expect((await parent.diff(second.id)).changes).toEqual([]);
    expect((await parent.undo()).checkpoint.id).toBe(first.id);
  });

  it("of a fork that goes on counts from the merge before, and forgets that when the merge is undone", async () => {
    await using pair = await parentAndFork();
    const { parent, fork } = pair;
    await sh(fork, "echo one > /srv/a");
    await parent.merge({ from: fork.id });
    await sh(fork, "echo two > /srv/a");
    expect(await parent.merge({ from: fork.id })).toMatchObject({ outcome: "merged", conflictCount: 0 });
    expect(await sh(parent, "cat /srv/a")).toBe("two");
    await parent.undo();
    await parent.undo();
    expect(await sh(parent, "cat /srv/a")).toBe("a");
    expect((await parent.merge({ from: fork.id })).changes).toEqual([{ kind: "written", path: "/srv/a" }]);
    // Into its fork, the parent has nothing that the fork has not.
    expect(await fork.merge({ from: parent.id })).toMatchObject({ outcome: "unchanged" });
  });

  it("takes a checkpoint, into a sandbox that is stopped and stays so", async () => {
    await using pair = await parentAndFork();
    const { parent, fork } = pair;
    await sh(fork, "echo then > /srv/a");
    const { checkpoint } = await fork.checkpoint({ name: "then" });
    await sh(fork, "echo later > /srv/a");
    await parent.stop();
    const merged = await parent.merge({ from: checkpoint.id });
    expect(merged).toMatchObject({ outcome: "merged", restarted: false, sandbox: { state: { kind: "stopped" } } });
    await parent.start();
    expect(await sh(parent, "cat /srv/a")).toBe("then");
  });

  it("that does not fit into the upper changes nothing", async () => {
    await using pair = await parentAndFork();
    const { parent, fork } = pair;
    await sh(parent, "head -c 41943040 /dev/urandom > /srv/large && sync");
    await sh(fork, "echo A > /srv/a; head -c 41943040 /dev/urandom > /srv/other && sync");
    await expect(parent.merge({ from: fork.id })).rejects.toMatchObject({ code: "file/no-space", status: 507 });
    expect(await sh(parent, "cat /srv/a; ls /srv")).toBe("a\na\nb\nd\nlarge");
    await sh(parent, "rm /srv/large");
  });

  it("is refused of what has nothing in common, of itself, and of what is not there", async () => {
    await using pair = await parentAndFork();
    const { parent } = pair;
    await using stranger = await daemon.client.create(SPEC);
    await using plain = await daemon.client.create({ layers: ["busybox"] });
    const refusals = [
      [stranger.id, "checkpoint/unrelated"],
      [parent.id, "input/invalid"],
      [plain.id, "checkpoint/unsupported"],
      ["nobody", "sandbox/not-found"],
      ["cp_01jd0000000000000000000000", "checkpoint/not-found"],
    ] as const;
    for (const [from, code] of refusals) await expect(parent.merge({ from })).rejects.toMatchObject({ code });
    expect((await stranger.timeline()).checkpoints).toEqual([]);
  });

  it("is an event, and so is each checkpoint that was asked for, fork, restore and removal", async () => {
    await using pair = await parentAndFork();
    const { parent, fork } = pair;
    const { checkpoint } = await parent.checkpoint({ name: "told" });
    await sh(fork, "echo fork > /srv/b");
    const { before } = await parent.merge({ from: fork.id });
    await parent.diff("told");
    const undone = await parent.undo();
    await daemon.client.checkpoints.remove(checkpoint.id);
    const { events } = await daemon.client.pastEvents({ sandbox: parent.id, types: ["checkpoint.*"] });
    const point = fork.view.lineage?.forkedFrom?.checkpoint;
    expect(events.map(({ type, data }) => [type.replace("checkpoint.", ""), data])).toEqual([
      ["taken", { checkpoint: point, checkpointName: null, cause: "fork" }],
      ["forked", { checkpoint: point, forks: [fork.id] }],
      ["taken", { checkpoint: checkpoint.id, checkpointName: "told", cause: "asked" }],
      ["merged", { from: fork.id, before }],
      ["restored", { checkpoint: before, before: undone.before }],
      ["removed", { checkpoint: checkpoint.id }],
    ]);
  });

  it("of two into each other at once lets neither wait for ever", async () => {
    await using pair = await parentAndFork();
    const { parent, fork } = pair;
    await sh(parent, "echo parent > /srv/a");
    await sh(fork, "echo fork > /srv/b");
    await Promise.all([parent.merge({ from: fork.id }), fork.merge({ from: parent.id })]);
    for (const each of [parent, fork]) expect(await sh(each, "cat /srv/a /srv/b")).toBe("parent\nfork");
  });
});
