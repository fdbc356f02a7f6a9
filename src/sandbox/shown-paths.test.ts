import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Bind } from "../model/launch-plan.ts";
import { hiddenBelow, requireShowable, surroundings } from "./shown-paths.ts";

const MOUNTS = [
  { path: "/", type: "ext4" },
  { path: "/proc", type: "proc" },
  { path: "/proc/sys/fs/binfmt_misc", type: "binfmt_misc" },
  { path: "/sys", type: "sysfs" },
  { path: "/srv/chroot", type: "ext4" },
  { path: "/srv/chroot/proc", type: "proc" },
  { path: "/srv/chroot/sys", type: "sysfs" },
  { path: "/srv/chroot/sys/fs/cgroup", type: "cgroup2" },
  { path: "/srv/over", type: "proc" },
  { path: "/srv/over", type: "tmpfs" },
];
const AROUND = { own: ["/var/lib/plybox", "/run/plybox", "/var/lib/plybox/token", "/home/me/socket"], mounts: MOUNTS };

const bind = (source: string, target = source): Bind => ({ source, target, readOnly: true, owner: "root" });

describe("requireShowable", () => {
  it.each([
    ["the root", "/", "name the directories below it"],
    ["the kernel's processes", "/proc", "a sandbox has its own"],
    ["one of them", "/proc/1/root", "a sandbox has its own"],
    ["/sys", "/sys/kernel", "a sandbox has its own"],
    ["/dev", "/dev", "a sandbox has its own"],
    ["the whole of shared memory", "/dev/shm", "a sandbox has its own"],
    ["/proc of a chroot", "/srv/chroot/proc/1", "it is on the kernel's proc"],
    ["the cgroups of a chroot", "/srv/chroot/sys/fs/cgroup", "it is on the kernel's cgroup2"],
    ["/run", "/run", "it holds the sockets of the machine's services"],
    ["the state directory", "/var/lib/plybox", "it is Plybox's own"],
    ["what is in it", "/var/lib/plybox/uppers/sb_1", "it is Plybox's own"],
    ["a socket elsewhere", "/home/me/socket", "it is Plybox's own"],
  ])("refuses %s", (_what, path, why) => {
    expect(() => requireShowable(bind(path), AROUND)).toThrow(`${path} cannot be shown in a sandbox: ${why}`);
  });

  it("refuses to put what may be shown where a sandbox has its own", () => {
    expect(() => requireShowable(bind("/srv", "/proc"), AROUND)).toThrow("/proc cannot be shown");
    expect(() => requireShowable(bind("/srv", "/dev/sda"), AROUND)).toThrow("/dev/sda cannot be shown");
  });

  it.each(["/srv", "/srv/chroot", "/srv/over", "/var/lib", "/var/lib/plybox2", "/run/user/1000", "/dev/shm/mine"])(
    "lets %s be shown",
    (path) => {
      expect(() => requireShowable(bind(path), AROUND)).not.toThrow();
    },
  );
});

describe("hiddenBelow", () => {
  it.each([
    ["/var", ["/lib/plybox"]],
    ["/var/lib", ["/plybox"]],
    ["/home", ["/me/socket"]],
    ["/srv", ["/chroot/proc", "/chroot/sys", "/over"]],
    ["/srv/chroot", ["/proc", "/sys"]],
    ["/var/lib/plybox2", []],
    ["/usr", []],
  ])("names what %s may not show, the outermost alone", (source, hidden) => {
    expect(hiddenBelow(bind(source, "/elsewhere"), AROUND)).toEqual(hidden);
  });
});

describe("surroundings", () => {
  it("knows its own by their canonical paths, also those that are not there yet", () => {
    const root = realpathSync(mkdtempSync(join(tmpdir(), "plybox-own-")));
    try {
      mkdirSync(join(root, "state"));
      symlinkSync("state", join(root, "link"));
      expect(surroundings([join(root, "link"), join(root, "link/token")]).own).toEqual([
        join(root, "state"),
        join(root, "state/token"),
      ]);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it("reads this machine's mounts", () => {
    expect(surroundings([]).mounts).toContainEqual({ path: "/proc", type: "proc" });
  });
});
