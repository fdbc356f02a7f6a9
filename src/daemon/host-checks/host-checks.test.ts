import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PlyboxError } from "../../model/errors.ts";
import { examineHost, HOST_CHECKS } from "../probe-host.ts";
import type { Check, Finding, Host } from "./check.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "plybox-checks-"));
});
afterEach(() => rmSync(root, { recursive: true }));

/** This machine, so that each check has a control: what is found here is not found once it is taken away. */
function thisMachine(): Host {
  return {
    nodeVersion: process.versions.node,
    uid: process.getuid?.() ?? -1,
    kernelRelease: release(),
    path: ["/usr/sbin", "/usr/bin", "/sbin", "/bin"],
    etc: "/etc",
    tryOwnNamespace: async () => 65_536,
    proc: "/proc",
    sys: "/sys",
    dev: "/dev",
    modules: "/lib/modules",
    stateDir: join(root, "state"),
    socket: join(root, "plybox.sock"),
    nativeProgram: (name) => join(root, name),
    tryLauncher: async () => {},
  };
}

async function find(name: string, host: Host): Promise<Finding> {
  const checks = HOST_CHECKS.filter((check) => check.name === name);
  const [finding] = await examineHost(host, checks);
  if (finding === undefined) throw new Error(`no check is called ${name}`);
  return finding;
}

/** Writes files below a directory of their own and returns it. */
function tree(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(root, "tree-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

function program(path: string, script: string): string {
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

const notBuilt = (): never => {
  throw new PlyboxError("host/missing", "it is not built");
};

describe("the checks", () => {
  it("have names of their own", () => {
    const names = HOST_CHECKS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it("turn a failure of their own into a finding", async () => {
    const broken: Check = {
      name: "broken",
      required: true,
      examine() {
        throw new Error("out of luck");
      },
    };
    expect(await examineHost(thisMachine(), [broken])).toEqual([
      { name: "broken", required: true, status: "missing", detail: "the check failed: out of luck" },
    ]);
  });
});

describe("node", () => {
  it("is this one", async () => {
    expect(await find("node", thisMachine())).toMatchObject({ status: "ok", detail: process.versions.node });
  });

  it.each(["18.19.0", "20.19.9"])("%s is too old", async (nodeVersion) => {
    expect(await find("node", { ...thisMachine(), nodeVersion })).toMatchObject({ status: "missing", required: true });
  });

  it.each(["20.20.0", "22.0.0", "100.1.0"])("%s is new enough", async (nodeVersion) => {
    expect(await find("node", { ...thisMachine(), nodeVersion })).toMatchObject({ status: "ok" });
  });
});

describe("privileges", () => {
  const holding = (mask: string): string => tree({ "self/status": `Name:\tnode\nCapEff:\t${mask}\nSeccomp:\t0\n` });

  it("are there with every capability", async () => {
    const host = { ...thisMachine(), uid: 0, proc: holding("000001ffffffffff") };
    expect(await find("privileges", host)).toMatchObject({ status: "ok" });
  });

  it("name the capability that a container was not given", async () => {
    // All but bit 21, CAP_SYS_ADMIN.
    const host = { ...thisMachine(), uid: 0, proc: holding("000001ffffdfffff") };
    expect(await find("privileges", host)).toMatchObject({
      status: "missing",
      detail: "root, without CAP_SYS_ADMIN",
      remedy: "give this container CAP_SYS_ADMIN",
    });
  });

  it("are not asked of a user, who runs rootless", async () => {
    const host = { ...thisMachine(), uid: 1000, proc: holding("0000000000000000") };
    expect(await find("privileges", host)).toMatchObject({ status: "ok", detail: expect.stringContaining("rootless") });
  });
});

describe("namespaces", () => {
  it.each(["mount", "pid", "network", "ipc", "uts", "user"])("of kind %s are found here", async (kind) => {
    expect(await find(`${kind} namespaces`, thisMachine())).toMatchObject({ status: "ok" });
  });

  it("are missing where the kernel has none", async () => {
    expect(await find("user namespaces", { ...thisMachine(), proc: tree({}) })).toMatchObject({
      status: "missing",
      remedy: "boot a kernel with CONFIG_USER_NS",
    });
  });

  it("are missing where the limit is 0", async () => {
    const proc = tree({ "self/ns/user": "", "sys/user/max_user_namespaces": "0\n" });
    expect(await find("user namespaces", { ...thisMachine(), proc })).toMatchObject({
      status: "missing",
      remedy: "sysctl -w user.max_user_namespaces=65536",
    });
  });

  it.each([
    ["kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"],
    ["user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=65536"],
    ["kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"],
  ])("of non-root are restricted by %s = %s", async (file, text, remedy) => {
    const proc = tree({ [`sys/${file}`]: `${text}\n` });
    expect(await find("user namespaces of non-root", { ...thisMachine(), proc })).toMatchObject({
      status: "warn",
      detail: expect.stringContaining(`${file.replace("/", ".")} is ${text}`),
      remedy: expect.stringContaining(remedy),
    });
  });

  it.each([
    ["kernel/unprivileged_userns_clone", "1"],
    ["user/max_user_namespaces", "1"],
    ["kernel/apparmor_restrict_unprivileged_userns", "0"],
  ])("of non-root are not restricted by %s = %s", async (file, text) => {
    const host = { ...thisMachine(), proc: tree({ [`sys/${file}`]: `${text}\n` }) };
    expect(await find("user namespaces of non-root", host)).toMatchObject({ status: "ok" });
  });
});

describe("what the launcher tries", () => {
  it.each(["new namespaces", "overlay mounts", "id-mapped mounts", "loop devices"])(
    "%s works, does not, or is not known without a launcher",
    async (name) => {
      const built = { ...thisMachine(), dev: tree({ "loop-control": "" }) };
      const refusing = { ...built, tryLauncher: () => Promise.reject(new Error("step x: EPERM")) };
      const absent = { ...built, nativeProgram: notBuilt };
      expect(await find(name, built)).toMatchObject({ status: "ok" });
      expect(await find(name, refusing)).toMatchObject({ status: "missing", detail: "step x: EPERM" });
      expect(await find(name, absent)).toMatchObject({ status: "warn", remedy: "npm run build:native" });
    },
  );
});

describe("rootless", () => {
  const asUser = (etc: Readonly<Record<string, string>>): Host => ({
    ...thisMachine(),
    uid: 1000,
    etc: tree({ passwd: "ann:x:1000:1000::/home/ann:/bin/sh\n", ...etc }),
  });

  it("finds the ids that the user is allotted", async () => {
    const allotted = "bob:1:9\nann:100000:65536\n";
    expect(await find("subordinate ids", asUser({ subuid: allotted, subgid: allotted }))).toMatchObject({
      status: "ok",
      detail: "65536 from 100000 on",
    });
  });

  it.each([
    ["none for groups", { subuid: "ann:100000:65536\n", subgid: "bob:100000:65536\n" }],
    ["few", { subuid: "ann:100000:100\n", subgid: "ann:100000:65536\n" }],
    ["none at all", {}],
  ])("misses %s, and says how they are allotted", async (_what, etc) => {
    expect(await find("subordinate ids", asUser(etc))).toMatchObject({
      status: "warn",
      required: false,
      remedy: "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann",
    });
  });

  it.each(["newuidmap", "newgidmap"])("%s has to be set-user-id", async (name) => {
    const host = { ...asUser({}), path: [root] };
    expect(await find(name, host)).toMatchObject({ status: "warn", remedy: "apt-get install uidmap" });
    const file = program(join(root, name), "true");
    expect(await find(name, host)).toMatchObject({ status: "warn", remedy: `chmod u+s ${file}` });
    chmodSync(file, 0o4755);
    expect(await find(name, host)).toMatchObject({ status: "ok" });
  });

  it("tries a namespace, and tells why it cannot be had", async () => {
    const having = (ids: number): Host => ({ ...asUser({}), tryOwnNamespace: async () => ids });
    const refused = new PlyboxError("host/missing", "no user namespace can be had (user-namespace: EPERM): because");
    const refusing = { ...asUser({}), tryOwnNamespace: () => Promise.reject(refused) };
    expect(await find("own namespace", having(65_537))).toMatchObject({
      status: "ok",
      detail: expect.stringMatching(/65537 ids/),
    });
    expect(await find("own namespace", having(1))).toMatchObject({
      status: "warn",
      detail: expect.stringMatching(/single id/),
    });
    expect(await find("own namespace", refusing)).toMatchObject({
      status: "missing",
      required: true,
      detail: refused.message,
    });
    expect(await find("own namespace", { ...refusing, uid: 0 })).toMatchObject({ status: "ok" });
    expect(await find("own namespace", { ...refusing, nativeProgram: notBuilt })).toMatchObject({ status: "warn" });
  });

  it.each(["id-mapped mounts", "loop devices"])("needs no %s", async (name) => {
    const refusing = { ...asUser({}), tryLauncher: () => Promise.reject(new Error("EPERM")) };
    expect(await find(name, refusing)).toMatchObject({ status: "ok" });
  });

  it.each(["memory", "pids", "cpu"])("goes without a limit of %s, which is told", async (controller) => {
    expect(await find(`cgroup ${controller}`, asUser({}))).toMatchObject({ status: "warn" });
  });
});

describe("file systems", () => {
  it.each(["overlay", "tmpfs", "squashfs", "erofs", "ext4"])("%s is built in, a module, or missing", async (name) => {
    const builtIn = { ...thisMachine(), proc: tree({ filesystems: `nodev\tproc\n\t${name}\n` }) };
    const module = {
      ...thisMachine(),
      proc: tree({ filesystems: "nodev\tproc\n" }),
      modules: tree({ [`${release()}/modules.dep`]: `kernel/fs/${name}/${name}.ko.xz:\n` }),
    };
    const absent = { ...module, modules: tree({}) };
    expect(await find(`${name} file system`, builtIn)).toMatchObject({ status: "ok" });
    expect(await find(`${name} file system`, module)).toMatchObject({ status: "warn", remedy: `modprobe ${name}` });
    expect(await find(`${name} file system`, absent)).toMatchObject({ status: "missing" });
  });

  it("overlay is found here", async () => {
    expect(await find("overlay file system", thisMachine())).toMatchObject({ status: "ok" });
  });

  it("the state directory need not exist yet", async () => {
    const finding = await find("state directory", thisMachine());
    expect(finding.status).not.toBe("missing");
    expect(finding.detail).toMatch(/GiB free$/);
  });

  it("the state directory must be on something that can be written", async () => {
    const host = { ...thisMachine(), stateDir: "/proc/plybox" };
    expect(await find("state directory", host)).toMatchObject({ status: "missing" });
  });
});

describe("cgroups", () => {
  const mounted = (lines: readonly string[]): Host => ({
    ...thisMachine(),
    proc: tree({ "self/mounts": lines.join("\n") }),
  });

  it.each(["memory", "pids", "cpu"])("the %s controller is found here", async (controller) => {
    expect(await find(`cgroup ${controller}`, thisMachine())).toMatchObject({ status: "ok" });
  });

  it("are missing where none is mounted", async () => {
    expect(await find("cgroup memory", mounted(["proc /proc proc rw 0 0"]))).toMatchObject({ status: "missing" });
  });

  it("of version 2 count only with the controller", async () => {
    const with2 = tree({ "cgroup.controllers": "cpu memory\n" });
    const line = `none ${with2} cgroup2 rw 0 0`;
    expect(await find("cgroup memory", mounted([line]))).toMatchObject({
      status: "ok",
      detail: `v2, ${with2}; it limits memory`,
    });
    expect(await find("cgroup pids", mounted([line]))).toMatchObject({ status: "missing" });
  });

  it("of version 1 serve what version 2 lacks", async () => {
    const [with1, with2] = [tree({}), tree({ "cgroup.controllers": "\n" })];
    const host = mounted([`cgroup ${with1} cgroup rw,nosuid,memory 0 0`, `none ${with2} cgroup2 rw 0 0`]);
    expect(await find("cgroup memory", host)).toMatchObject({ status: "ok", detail: `v1, ${with1}; it limits memory` });
  });
});

describe("hardening", () => {
  it("seccomp is found here, and missing without its file", async () => {
    expect(await find("seccomp", thisMachine())).toMatchObject({ status: "ok" });
    expect(await find("seccomp", { ...thisMachine(), proc: tree({}) })).toMatchObject({ status: "missing" });
  });

  it.each([
    ["too old", { lsm: "lockdown,landlock" }, { status: "missing", remedy: "5.19" }],
    ["not chosen at boot", { lsm: "lockdown,yama" }, { status: "warn", remedy: "lsm=landlock,lockdown,yama" }],
    ["in the kernel, and off", { kallsyms: "0000 t landlock_init" }, { status: "warn", remedy: "lsm=landlock,…" }],
    ["not in the kernel", { kallsyms: "0000 t init" }, { status: "missing", remedy: "CONFIG_SECURITY_LANDLOCK" }],
  ] as const)("landlock is %s, where the launcher finds none", async (_what, kernel, { status, remedy }) => {
    const { lsm, kallsyms }: { lsm?: string; kallsyms?: string } = kernel;
    const sys = lsm === undefined ? {} : { "kernel/security/lsm": `${lsm}\n` };
    const proc = kallsyms === undefined ? {} : { kallsyms: `${kallsyms}\n` };
    const tryLauncher = async () => {
      throw new PlyboxError("launcher/failed", "landlock: Function not implemented");
    };
    const nativeProgram = (name: string) => name;
    const host = { ...thisMachine(), nativeProgram, tryLauncher, sys: tree(sys), proc: tree(proc) };
    expect(await find("landlock", host)).toMatchObject({ status, remedy: expect.stringContaining(remedy) });
    expect(await find("landlock", { ...host, tryLauncher: async () => {} })).toMatchObject({ status: "ok" });
  });

  it("kvm is missing without its device", async () => {
    expect(await find("kvm", { ...thisMachine(), dev: tree({}) })).toMatchObject({ status: "missing" });
  });

  it("kvm needs a processor that can, besides the device", async () => {
    const dev = tree({ kvm: "" });
    const [able, unable] = ["flags\t\t: fpu vmx sse\n", "flags\t\t: fpu vmxnot sse\n"].map((cpuinfo) =>
      tree({ cpuinfo }),
    );
    expect(await find("kvm", { ...thisMachine(), dev, proc: able ?? "" })).toMatchObject({ status: "ok" });
    expect(await find("kvm", { ...thisMachine(), dev, proc: unable ?? "" })).toMatchObject({ status: "warn" });
  });
});

describe("programs", () => {
  it.each([
    ["mksquashfs", "squashfs-tools"],
    ["mkfs.erofs", "erofs-utils"],
    ["mkfs.ext4", "e2fsprogs"],
    ["e2fsck", "e2fsprogs"],
    ["mkfs.btrfs", "btrfs-progs"],
    ["busybox", "busybox-static"],
    ["ip", "iproute2"],
    ["nft", "nftables"],
    ["bwrap", "bubblewrap"],
  ])("%s is missing from a PATH without it, and %s has it", async (name, debianPackage) => {
    const host = { ...thisMachine(), path: [root] };
    expect(await find(name, host)).toMatchObject({ status: "missing", remedy: `apt-get install ${debianPackage}` });
  });

  it("one that is there shows its version", async () => {
    program(join(root, "ip"), 'test "$1" = -V && echo "ip utility, 6.1"');
    expect(await find("ip", { ...thisMachine(), path: [root] })).toMatchObject({
      status: "ok",
      detail: `${join(root, "ip")}, ip utility, 6.1`,
    });
  });

  it("one that cannot be run is no good", async () => {
    program(join(root, "ip"), "exit 127");
    expect(await find("ip", { ...thisMachine(), path: [root] })).toMatchObject({ status: "warn" });
  });

  it.each(["mksquashfs", "mkfs.ext4", "e2fsck", "mkfs.btrfs"])("%s is found here", async (name) => {
    expect(await find(name, thisMachine())).toMatchObject({ status: "ok" });
  });

  it.each(["plylaunch", "plyagent", "plyfilter", "plytree", "plyrelay"])(
    "%s must be there, and be itself",
    async (name) => {
      const own = join(root, name);
      const absent = { ...thisMachine(), nativeProgram: notBuilt };
      expect(await find(name, absent)).toMatchObject({ status: "missing", detail: "it is not built" });
      symlinkSync("/bin/true", own);
      expect(await find(name, thisMachine())).toMatchObject({ status: "missing", remedy: "npm run build:native" });
      rmSync(own);
      program(own, `echo "${name} 0.1.0"`);
      expect(await find(name, thisMachine())).toMatchObject({ status: "ok" });
    },
  );
});

describe("the daemon", () => {
  it("its registry can be opened", async () => {
    expect(await find("registry", thisMachine())).toMatchObject({ status: "ok", detail: /^SQLite 3\./ });
  });

  it("does not answer where nothing listens, which is no reason not to run", async () => {
    expect(await find("daemon", thisMachine())).toMatchObject({
      status: "warn",
      required: false,
      remedy: "plybox serve",
    });
  });
});
