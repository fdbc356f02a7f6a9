import { execFile } from "node:child_process";
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LayerStore } from "../../src/layers/layer-store.ts";
import { LayerBox } from "../support/layer-box.ts";
import { refused } from "../support/layer-trees.ts";

const run = promisify(execFile);

let box: LayerBox;
let root: string;
let store: LayerStore;

beforeEach(async () => {
  box = await LayerBox.make();
  ({ root, store } = box);
});
afterEach(() => box[Symbol.asyncDispose]());

describe("the host layer", () => {
  it("shows the machine's programs, and of /etc nothing that is not everybody's", async () => {
    await using lease = await store.acquire(["host"]);
    expect(lease.layers[0]).toMatchObject({ name: "000-host", format: "dir", provenance: { kind: "host" } });
    expect(lease.binds).toContainEqual({ source: "/usr", target: "/usr", readOnly: true, owner: "keep" });
    expect(box.mounter.mounts).toBe(0);
    const tree = lease.mounts[0]?.path ?? "";
    const entries = await readdir(tree, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(files.length).toBeGreaterThan(10);
    const shadow = join(tree, "etc/shadow");
    for (const file of files.filter((path) => path !== shadow))
      expect(lstatSync(file).mode & 0o7777, file).toBeOneOf([0o644, 0o755]);
    // Its own: nobody in it has a password.
    expect(lstatSync(shadow).mode & 0o7777).toBe(0o600);
    expect(readFileSync(shadow, "utf8")).toMatch(/^(\w+:\*:::::::\n)+$/);
    expect(entries.every((entry) => entry.isFile() || entry.isDirectory() || entry.isSymbolicLink())).toBe(true);
    for (const secret of ["gshadow", "ssl/private", "sudoers", "ssh", "machine-id"]) {
      expect(existsSync(join(tree, "etc", secret)), secret).toBe(false);
    }
    const accounts = readFileSync(join(tree, "etc/passwd"), "utf8")
      .split("\n")
      .map((line) => line.split(":")[0]);
    expect(accounts).toEqual(["root", "daemon", "user", "nobody", ""]);
  });

  it("runs a dynamically linked program and verifies a certificate store in it", async () => {
    await using lease = await store.acquire(["host"]);
    const script = `
      cp -a ${lease.mounts[0]?.path} ${root}/root
      ${lease.binds.map(({ source, target }) => `mount --bind ${source} ${root}/root${target}`).join("\n")}
      mount --rbind /dev ${root}/root/dev
      chroot ${root}/root /bin/sh -c 'id -un; ls /etc/ssl/certs/ca-certificates.crt; perl -e "print 6*7"'`;
    const { stdout } = await run("unshare", ["--mount", "sh", "-ec", script]);
    expect(stdout).toBe("root\n/etc/ssl/certs/ca-certificates.crt\n42");
  });

  it("is made once by many who ask at once, and quickly found again", async () => {
    const stores = [store, store, box.makeStore(), box.makeStore()];
    const leases = await Promise.all(stores.map((each) => each.acquire(["host"])));
    expect(new Set(leases.map(({ layers }) => layers[0]?.digest)).size).toBe(1);
    expect(box.stored()).toHaveLength(1);
    const { ctimeMs } = lstatSync(join(root, "store", box.stored()[0] ?? "", "tree"));
    await using again = await box.makeStore().acquire(["000-host"]);
    expect(lstatSync(again.mounts[0]?.path ?? "").ctimeMs).toBe(ctimeMs);
    await Promise.all(leases.map((lease) => lease.release()));
  });
});

describe("the busybox layer", () => {
  it("is a root file system that runs a shell and its tools", async () => {
    await using lease = await store.acquire(["busybox"]);
    const mount = lease.mounts[0]?.path ?? "";
    const line =
      "id -un; echo one two | /usr/bin/awk '{ print $2 }'; /usr/bin/env true && /sbin/ip -V >/dev/null; stat -c %a /tmp /root";
    const { stdout } = await run("chroot", [mount, "/bin/sh", "-c", line]);
    expect(stdout).toBe("root\ntwo\n1777\n700\n");
  });

  it("has the same digest wherever it is built", async () => {
    const elsewhere = box.makeStore({ storeDirectory: join(root, "elsewhere") });
    const [a, b] = await Promise.all([store.resolve(["busybox"]), elsewhere.resolve(["000-busybox"])]);
    expect(a[0]?.digest).toBe(b[0]?.digest);
  });

  it.each([
    ["is not there", "/nonexistent/busybox"],
    ["needs a C library", "/bin/true"],
    ["is no program", "/etc/hostname"],
  ])("names the Debian package when busybox %s", async (_, busybox) => {
    const error = await refused(box.makeStore({ busybox }).acquire(["busybox"]));
    expect(error).toMatchObject({ code: "host/missing" });
    expect(error.message).toMatch(/busybox-static/);
    expect(box.stored()).toEqual([]);
  });
});
