import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BuildProgress, CreateOptions, Layers, Sandbox } from "../../src/client/index.ts";
import { runCli } from "../support/cli-context.ts";
import { EVERYTHING } from "../support/everything.ts";
import { sh } from "../support/sh.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { mountsWith } from "../support/traces.ts";

const SNAPSHOTS = { upper: { kind: "tmpfs", bytes: 64 * 1024 ** 2, snapshots: true } } as const;

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = new TestDaemon({ PLYBOX_SNAPSHOT_MEMORY: "1G" });
  await daemon.start();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  expect(mountsWith(daemon.directory)).toEqual([]);
});

/** All that is there, times to the second: names, types, modes, owners, links, targets, attributes, bytes. */
const treeOf = (...tops: readonly string[]): string => `python3 - <<'PY'
import hashlib, os, stat
h, inodes = hashlib.sha256(), {}
for top in ${JSON.stringify(tops)}:
  for path, folders, files in os.walk(top):
    folders.sort()
    for name in sorted(files + folders) + ([""] if path == top else []):
      p = os.path.join(path, name) if name else path
      # What is shown here is each sandbox's own.
      if p in ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/mtab"): continue
      s = os.lstat(p)
      first = inodes.setdefault(s.st_ino, p) if s.st_nlink > 1 and not stat.S_ISDIR(s.st_mode) else p
      try: notes = [(n, os.getxattr(p, n, follow_symlinks=False)) for n in sorted(os.listxattr(p, follow_symlinks=False))]
      except OSError: notes = []
      held = os.readlink(p) if stat.S_ISLNK(s.st_mode) else open(p, "rb").read() if stat.S_ISREG(s.st_mode) else None
      size = s.st_size if held is not None else 0
      h.update(repr((p, oct(s.st_mode), s.st_uid, s.st_gid, size, int(s.st_mtime), first, notes, held)).encode())
print(h.hexdigest())
PY`;
const TREE = treeOf("/srv", "/etc");

/** A sandbox on what another one stands on and the layer, in a daemon. */
async function on(layers: readonly string[], at: TestDaemon = daemon): Promise<Sandbox> {
  return await at.client.create({ layers });
}

const leftCheckpoints = (): readonly string[] => readdirSync(join(daemon.directory, "run/pools/memory/checkpoints"));

describe("a layer of what a sandbox has written", () => {
  const kinds: readonly [string, CreateOptions, string][] = [
    ["an upper with snapshots", SNAPSHOTS, "copy-on-write"],
    ["an upper in memory", {}, "in-place"],
    ["an upper on disk", { upper: { kind: "disk" } }, "in-place"],
    ["an upper in an image", { upper: { kind: "disk", bytes: 64 * 1024 ** 2 } }, "in-place"],
  ];
  it.each(kinds)("of %s shows the same tree elsewhere", async (_, settings, mechanism) => {
    await using box = await daemon.client.create(settings);
    await sh(box, EVERYTHING);
    const idle = await sh(box, TREE);
    const busy = await box.spawn("exec sleep 1000");
    const seen: BuildProgress[] = [];
    const layer = await daemon.client.layers.fromSandbox("900-box", box.id, { onProgress: (each) => seen.push(each) });
    expect(layer).toMatchObject({
      ...{ name: "900-box", mechanism, frozen: true, format: "squashfs" },
      compression: { algorithm: "zstd", level: 3, blockBytes: 131_072 },
      provenance: { kind: "sandbox", source: box.id, inputs: [{ kind: "layer", name: "000-host" }] },
    });
    expect(layer.parents).toEqual([(await daemon.client.layers.get("host")).digest]);
    expect(seen.at(-1)).toMatchObject({ step: "pack" });
    expect((await box.inspectExec(busy.exec)).running).toBe(true);
    expect(await sh(box, TREE)).toBe(idle);
    {
      await using other = await on(["host", "900-box"]);
      expect(await sh(other, TREE)).toBe(idle);
      expect(await sh(other, "ls /etc/ssl; ls /etc/services 2>&1 || true")).toMatch(/^own\nls: cannot access/);
      // Nobody else's ids are in it.
      expect(await sh(other, "stat -c %u:%g /srv/plain/file /srv/plain /etc/ssl")).toBe("1000:1001\n0:0\n0:0");
    }
    await daemon.client.layers.remove("900-box");
  });

  it("is read while nothing can be written, also where no command runs", async () => {
    await using box = await daemon.client.create();
    await sh(box, "echo there > /srv/there");
    const layer = await daemon.client.layers.fromSandbox("900-idle", box.id);
    expect(layer).toMatchObject({ mechanism: "in-place", frozen: true });
    expect(await sh(box, "cat /srv/there")).toBe("there");
    await daemon.client.layers.remove("900-idle");
  });

  it("of a checkpoint is what was then; the sandbox may go, and the layer goes to another machine", async () => {
    const box = await daemon.client.create(SNAPSHOTS);
    await sh(box, `${EVERYTHING}\necho then > /srv/when`);
    const then = await sh(box, treeOf("/srv"));
    const { checkpoint } = await box.checkpoint({ name: "then" });
    await sh(box, "echo later > /srv/when");
    const layer = await daemon.client.layers.fromSandbox("900-then", box.id, { checkpoint: "then" });
    expect(layer).toMatchObject({ frozen: false, provenance: { source: `${box.id} at ${checkpoint.id}` } });
    expect(leftCheckpoints()).toEqual([checkpoint.id]);
    expect((await box.timeline()).checkpoints.map(({ name }) => name)).toEqual(["then"]);
    await box.remove();
    await daemon.client.checkpoints.remove(checkpoint.id);

    await using machine = new TestDaemon();
    await machine.start();
    const archive = await daemon.client.layers.export(["900-then"]);
    await machine.client.layers.import(archive);
    await using there = await on(["host", "900-then"], machine);
    expect(await sh(there, treeOf("/srv"))).toBe(then);
    expect(await sh(there, "cat /srv/when; ls /etc/ssl /etc/services 2>&1 || true")).toMatch(
      /^then\nls: .*\n\/etc\/ssl:\nown$/,
    );
  });

  it("is refused where it cannot be, and leaves nothing", async () => {
    await using box = await daemon.client.create({ ...SNAPSHOTS, layers: ["busybox"] });
    await using plain = await daemon.client.create({ layers: ["busybox"] });
    await using image = await daemon.client.create({ layers: ["busybox"], upper: { kind: "disk", bytes: 16 << 20 } });
    const fromSandbox: Layers["fromSandbox"] = (...args) => daemon.client.layers.fromSandbox(...args);
    await fromSandbox("500-box", box.id);
    await sh(box, "echo new > /new");
    await expect(fromSandbox("500-box", box.id)).rejects.toMatchObject({ code: "layer/exists" });
    await using upon = await daemon.client.create({ ...SNAPSHOTS, layers: ["busybox", "500-box"] });
    await expect(fromSandbox("400-below", upon.id)).rejects.toMatchObject({ code: "input/invalid", field: "parent" });
    const unknown = fromSandbox("900-x", box.id, { checkpoint: "nothing" });
    await expect(unknown).rejects.toMatchObject({ code: "checkpoint/not-found" });
    const without = fromSandbox("900-x", plain.id, { checkpoint: "any" });
    await expect(without).rejects.toMatchObject({ code: "checkpoint/unsupported" });
    await image.stop();
    await expect(fromSandbox("900-x", image.id)).rejects.toMatchObject({ code: "sandbox/wrong-state" });
    await expect(fromSandbox("900-x", "nobody")).rejects.toMatchObject({ code: "sandbox/not-found" });
    await expect(fromSandbox("900-x", box.id, { level: 99 })).rejects.toMatchObject({ code: "input/invalid" });
    expect(leftCheckpoints()).toEqual([]);
    expect(existsSync(join(daemon.directory, "state/layers/names/900-x"))).toBe(false);
    expect(await sh(plain, "echo still here")).toBe("still here");
  });

  it("is made on the command line", async () => {
    const plybox = (...args: readonly string[]) => runCli(args, { env: { PLYBOX_SOCKET: daemon.config.socket } });
    await plybox("create", "--layer", "busybox", "cli-box");
    await plybox("exec", "cli-box", "--", "sh", "-c", "echo kept > /kept");
    const built = await plybox("layer", "build", "--from-sandbox", "cli-box", "--compression", "gzip", "910-cli");
    expect(built).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^910-cli {3}.* sha256:[0-9a-f]{64}\n$/),
    });
    const made = JSON.parse((await plybox("layer", "inspect", "--json", "910-cli")).stdout);
    expect(made).toMatchObject({ compression: { algorithm: "gzip", level: 1 } });
    await plybox("create", "--layer", "busybox", "--layer", "910-cli", "cli-other");
    expect(await plybox("exec", "cli-other", "--", "cat", "/kept")).toMatchObject({ stdout: "kept\n" });
    const alone = await plybox("layer", "build", "--checkpoint", "one", "--from-tar", "-", "910-x");
    expect(alone).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("--checkpoint") });
    await plybox("rm", "cli-box", "cli-other");
  });
});
