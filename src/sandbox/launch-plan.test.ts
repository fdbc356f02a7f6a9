import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { sandboxRecord } from "../../test/support/sandbox-record.ts";
import type { Bind, LaunchPlan } from "../model/launch-plan.ts";
import type { Sandbox } from "../model/sandbox.ts";
import type { SandboxPlaces } from "./launch-plan.ts";
import { diskPath, planLaunch, upperPath } from "./launch-plan.ts";

const PLACES: SandboxPlaces = {
  sockets: "/run/plybox/s",
  uppers: "/run/plybox/uppers",
  disks: "/var/lib/plybox/uppers",
  pools: { memory: "/run/plybox/pools/memory", disk: "/run/plybox/pools/disk" },
  own: ["/srv/plybox"],
  cgroups: { version: 2, root: "/sys/fs/cgroup" },
  cgroupParent: "plybox",
};
const SYSTEM_BIND: Bind = {
  ...{ source: "/usr", target: "/usr", readOnly: true, owner: "keep", hide: ["/src"], setuid: false },
};
const LEASE = { mounts: [{ path: "/run/plybox/layers/a", idmap: true }], binds: [SYSTEM_BIND] };

const plan = (sandbox: Sandbox = sandboxRecord(), failAt?: string): LaunchPlan =>
  planLaunch(sandbox, LEASE, PLACES, { dieWithLauncher: false, failAt });

/** What the Open Container Initiative's runtimes leave a container that asks for nothing. */
const CONTAINER_DEFAULT = [
  "CAP_AUDIT_WRITE",
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_MKNOD",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SETFCAP",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_CHROOT",
];

/** The example of the protocol's page. */
function documentedPlan(): object {
  const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
  const example = /^## 7\..*?^```json\n(.*?)^```/ms.exec(page)?.[1] ?? "";
  return JSON.parse(example) as object;
}

/** The dotted paths of all that a plan says, sorted; of a list every member counts as the same. */
function fieldsOf(value: object, path = ""): readonly string[] {
  const paths = Object.entries(value).flatMap(([name, member]: [string, unknown]) => {
    const own = `${path}${Array.isArray(value) ? "*" : name}`;
    return typeof member === "object" && member !== null ? fieldsOf(member, `${own}.`) : [own];
  });
  return [...new Set(paths)].sort();
}

describe("planLaunch", () => {
  it("has the fields of docs/protocol.md §7 and no other", () => {
    // Version 1: the page's example is of such a machine.
    const cgroups = { version: 1, roots: new Map([["memory", "/sys/fs/cgroup/memory"] as const]) } as const;
    const places = { ...PLACES, cgroups };
    const made = planLaunch(sandboxRecord(), LEASE, places, {
      ...{ dieWithLauncher: false, failAt: "overlay" },
      seccomp: { sandbox: "/run/plybox/filters/0a1b.bpf", commands: "/run/plybox/filters/2c3d.bpf" },
    });
    expect(fieldsOf(made)).toEqual(fieldsOf(documentedPlan()));
    expect(Object.keys(plan())).not.toContain("failAt");
  });

  it("makes the same plan of the same sandbox, as after a restart", () => {
    const sandbox = sandboxRecord();
    const recovered = { ...structuredClone(sandbox), state: { kind: "running", pid: 7, startTime: 100 } as const };
    expect(plan(recovered)).toStrictEqual(plan(sandbox));
  });

  it("says what the sandbox is", () => {
    const sandbox = sandboxRecord({ incarnation: 3 });
    expect(plan(sandbox)).toMatchObject({
      version: 1,
      id: sandbox.id,
      incarnation: 3,
      hostname: "web-1",
      ids: { base: 0x7000_0000, count: 65_536 },
      environment: { A: "b" },
      agent: { socket: `/run/plybox/s/${sandbox.id}.sock` },
      cgroups: [{ path: `/sys/fs/cgroup/plybox/${sandbox.id}` }],
    });
  });

  it("puts the user's binds over those of the layers", () => {
    const sandbox = sandboxRecord();
    expect(plan(sandbox).binds).toMatchObject([SYSTEM_BIND, ...sandbox.binds]);
  });

  it("lets the machine's set-user-id programs count where privileges may be gained, and no user's", () => {
    const [system, own] = plan(sandboxRecord({ allowPrivilegeEscalation: true })).binds;
    expect(system).toEqual({ ...SYSTEM_BIND, owner: "root", setuid: true });
    expect(own).not.toHaveProperty("setuid");
    expect(plan().binds).toMatchObject([SYSTEM_BIND, {}]);
  });

  it("hides what is Plybox's own below the user's binds", () => {
    expect(plan().binds[1]).toMatchObject({ source: "/srv", hide: ["/plybox"] });
  });

  it("leaves out no namespace that separates a sandbox from the host", () => {
    expect(plan().namespaces).toEqual(
      expect.arrayContaining(["mount", "pid", "network", "ipc", "uts", "cgroup", "user"]),
    );
  });

  it("grants no capability that a container would not have, and no way to more", () => {
    expect(CONTAINER_DEFAULT).toEqual(expect.arrayContaining([...plan().capabilities]));
    expect(plan().noNewPrivileges).toBe(true);
  });

  it("names the host inside, and no name server", () => {
    expect(plan().files).toEqual([
      { path: "/etc/hostname", content: "web-1\n" },
      { path: "/etc/hosts", content: expect.stringContaining("127.0.0.1 localhost web-1\n") },
      { path: "/etc/resolv.conf", content: "" },
    ]);
  });

  it("fails at a step only where a test asks for it", () => {
    expect(plan(sandboxRecord(), "overlay").failAt).toBe("overlay");
  });
});

it("limits files as the sandbox does, and not at all where it does not", () => {
  expect(plan().resources).toEqual({ openFiles: 1024, fileBytes: 1_073_741_824 });
  const { limits } = sandboxRecord();
  expect(plan(sandboxRecord({ limits: { ...limits, fileSizeBytes: null } })).resources).toEqual({ openFiles: 1024 });
});

describe("the upper", () => {
  it("in memory holds as many inodes as it was asked for", () => {
    const sandbox = sandboxRecord({ upper: { kind: "tmpfs", bytes: 1_048_576, inodes: 77 } });
    expect(plan(sandbox).root.upper).toMatchObject({ inodes: 77 });
  });

  it.each([
    [1_073_741_824, 262_144],
    [65_536, 1024],
    [undefined, 262_144],
  ])("in memory of %s bytes has %d inodes", (bytes, inodes) => {
    const sandbox = sandboxRecord({ upper: { kind: "tmpfs", ...(bytes !== undefined && { bytes }) } });
    expect(plan(sandbox).root.upper).toEqual({
      kind: "tmpfs",
      path: `/run/plybox/uppers/${sandbox.id}`,
      bytes: bytes ?? 1_073_741_824,
      inodes,
    });
  });

  it("on disk with a size is an image there, mounted beside those in memory", () => {
    const sandbox = sandboxRecord({ upper: { kind: "disk", bytes: 1_073_741_824 } });
    const image = `/var/lib/plybox/uppers/${sandbox.id}.ext4`;
    const path = `/run/plybox/uppers/${sandbox.id}`;
    expect(plan(sandbox).root.upper).toEqual({ kind: "image", path, image });
    expect(upperPath(sandbox, PLACES)).toBe(path);
    expect(diskPath(sandbox, PLACES)).toBe(image);
  });

  it("on disk is a directory of its own that outlives a reboot, without a size", () => {
    const sandbox = sandboxRecord({ upper: { kind: "disk" } });
    expect(plan(sandbox).root.upper).toEqual({ kind: "disk", path: `/var/lib/plybox/uppers/${sandbox.id}` });
    expect(upperPath(sandbox, PLACES)).toBe(`/var/lib/plybox/uppers/${sandbox.id}`);
  });
});
