import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import type { SeccompProfile } from "../../src/model/seccomp.ts";
import { agentsOf, NOTHING, remainsOf } from "../support/remains.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const PERSONALITY = "import ctypes; print(ctypes.CDLL(None).personality(0x40000))";
const python = async (sandbox: Sandbox, program: string) => await sandbox.exec(["python3", "-c", program]);

/** How many filters hold for a command, as the kernel counts them. */
async function filtersOf(sandbox: Sandbox): Promise<number> {
  const { stdout } = await sandbox.exec(["grep", "Seccomp_filters", "/proc/self/status"]);
  return Number(/\d+/.exec(stdout)?.[0]);
}

/** What a program as small as `cat` may do, and no more. */
const TINY: SeccompProfile = {
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: 77,
  syscalls: [
    {
      names: [
        ...["execve", "brk", "mmap", "munmap", "mprotect", "openat", "read", "write", "close", "newfstatat", "fstat"],
        ...["pread64", "exit_group", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64"],
        ...["getrandom", "access", "fadvise64", "copy_file_range", "futex"],
      ],
      action: "SCMP_ACT_ALLOW",
    },
  ],
};

describe("a sandbox's profile", () => {
  it("is the default, which holds for PID 1 and costs a command no filter of its own", async () => {
    await using sandbox = await daemon.client.create({});
    expect(sandbox.view).toMatchObject({ seccomp: "default", allowPrivilegeEscalation: false });
    expect(await filtersOf(sandbox)).toBe(1);
    const [agent] = agentsOf([sandbox.id]);
    expect(readFileSync(`/proc/${agent}/status`, "utf8")).toMatch(/^Seccomp_filters:\t1$/m);
    // PER_LINUX with ADDR_NO_RANDOMIZE is none of the personalities that are let through.
    expect((await python(sandbox, PERSONALITY)).stdout).toBe("-1\n");
  });

  it("may be one of those that have a name", async () => {
    await using strict = await daemon.client.create({ seccomp: "strict" });
    const chroot = "import os\ntry: os.chroot('/')\nexcept OSError as error: print(error.errno)";
    expect((await python(strict, chroot)).stdout).toBe("1\n");
    await using permissive = await daemon.client.create({ seccomp: "permissive" });
    expect((await python(permissive, PERSONALITY)).stdout).toBe("0\n");
    expect(await filtersOf(permissive)).toBe(1);
    await using unconfined = await daemon.client.create({ seccomp: "unconfined" });
    expect(await filtersOf(unconfined)).toBe(0);
  });

  it("may be the user's, and holds for commands as it is, while the agent can do its work", async () => {
    await using sandbox = await daemon.client.create({ name: "tiny", seccomp: TINY });
    expect(sandbox.view.seccomp).toEqual(TINY);
    await sandbox.files.write("/root/note", "kept");
    expect(await sandbox.exec(["cat", "/root/note"])).toMatchObject({ stdout: "kept", exitCode: 0 });
    // `ls` reads directories, which cat does not.
    expect(await sandbox.exec(["ls", "/root"])).toMatchObject({ exitCode: 2 });
    expect(await sandbox.exec(["cat", "/proc/self/status"])).toMatchObject({
      stdout: expect.stringMatching(/^Seccomp_filters:\t2$/m),
    });
    await sandbox.stop();
    await sandbox.start();
    expect(await sandbox.exec(["ls", "/root"])).toMatchObject({ exitCode: 2 });
  });

  it("may be what container engines use", async () => {
    const theirs = JSON.parse(readFileSync("/usr/share/containers/seccomp.json", "utf8")) as SeccompProfile;
    await using sandbox = await daemon.client.create({ seccomp: theirs });
    expect(await sandbox.exec(["python3", "-c", "print(6*7)"])).toMatchObject({ stdout: "42\n" });
  });

  it("kills what speaks another architecture's calls", async () => {
    await using sandbox = await daemon.client.create({ seccomp: "permissive" });
    const x32 = "import ctypes; ctypes.CDLL(None).syscall(0x40000000 + 39)";
    expect(await python(sandbox, x32)).toMatchObject({ signal: "SIGSYS" });
  });
});

describe("the files of filters", () => {
  const directory = () => join(daemon.config.runDir, "filters");
  const files = () => readdirSync(directory()).sort();

  it("are the daemon's alone, and are there again after somebody removed them", async () => {
    await (await daemon.client.create({})).remove();
    const before = files();
    expect(before).not.toEqual([]);
    expect(statSync(directory()).mode & 0o777).toBe(0o700);
    for (const name of before) rmSync(join(directory(), name));
    await using sandbox = await daemon.client.create({});
    expect(await filtersOf(sandbox)).toBe(1);
    for (const name of files()) rmSync(join(directory(), name));
    await sandbox.stop();
    await sandbox.start();
    expect(await filtersOf(sandbox)).toBe(1);
  });

  it("go with their daemon's end: the next has those of its own alone", async () => {
    await using sandbox = await daemon.client.create({ name: "stays" });
    const stray = join(directory(), "stray.bpf");
    writeFileSync(stray, "");
    await daemon.restart();
    expect(files()).not.toContain("stray.bpf");
    const found = await daemon.client.get(sandbox.id);
    await found.stop();
    await found.start();
    expect(await filtersOf(found)).toBe(1);
  });
});

describe("a profile that cannot be", () => {
  it.each<[string, unknown, string]>([
    ["an unknown name", "loose", "seccomp"],
    ["an action that nobody answers", { defaultAction: "SCMP_ACT_NOTIFY" }, "seccomp.defaultAction"],
    [
      "a call that is no name",
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["a b"], action: "SCMP_ACT_ERRNO" }] },
      "seccomp.syscalls.0.names.0",
    ],
    [
      "a call to refuse that nobody knows",
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["no_such_call"], action: "SCMP_ACT_ERRNO" }] },
      "seccomp",
    ],
    ["a listener", { defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/x" }, "seccomp.listenerPath"],
    ["no default", { syscalls: [] }, "seccomp.defaultAction"],
  ])("is refused: %s", async (_, seccomp, field) => {
    await expect(daemon.client.create({ seccomp: seccomp as SeccompProfile })).rejects.toMatchObject({
      code: "input/invalid",
      status: 400,
      field,
    });
    expect(remainsOf(daemon)).toEqual(NOTHING);
  });

  it("is refused with privilege escalation where the agent could not live under it", async () => {
    await expect(daemon.client.create({ seccomp: TINY, allowPrivilegeEscalation: true })).rejects.toMatchObject({
      code: "input/invalid",
      field: "seccomp",
    });
  });
});

describe("who may choose", () => {
  it("a tenant has the default and the strict profile, the operator any", async () => {
    const { secret } = await daemon.client.keys.create({ name: "tenant", scopes: ["sandboxes:write"] });
    const tenant = new Plybox({ socketPath: daemon.config.socket, token: secret });
    for (const seccomp of ["permissive", "unconfined", TINY] as const) {
      await expect(tenant.create({ seccomp })).rejects.toMatchObject({ code: "auth/refused", field: "seccomp" });
    }
    await using sandbox = await tenant.create({ seccomp: "strict", allowPrivilegeEscalation: true });
    expect(sandbox.view.seccomp).toBe("strict");
    tenant.close();
  });
});

describe("privilege escalation", () => {
  const EUID = ["/tmp/python", "-c", "import os; print(os.geteuid())"];

  it.each([
    [false, "1000\n"],
    [true, "0\n"],
  ])("%s: a set-user-id program that a user runs has the user id %j", async (allowPrivilegeEscalation, expected) => {
    await using sandbox = await daemon.client.create({ allowPrivilegeEscalation });
    const made = await sandbox.exec("cp $(readlink -f /usr/bin/python3) /tmp/python && chmod 4755 /tmp/python");
    expect(made).toMatchObject({ exitCode: 0 });
    expect(await sandbox.exec(EUID, { user: "1000:1000" })).toMatchObject({ stdout: expected });
    expect(await filtersOf(sandbox)).toBe(1);
    // What a program can gain ends where root inside ends.
    const { stdout } = await sandbox.exec("grep -E '^Cap(Eff|Bnd)' /proc/self/status | cut -f2 | sort -u");
    expect(stdout.trim().split("\n")).toHaveLength(1);
  });

  it.each(["strict", "permissive", "unconfined"] as const)("may be had under the %s profile too", async (seccomp) => {
    await using sandbox = await daemon.client.create({ seccomp, allowPrivilegeEscalation: true });
    expect(await sandbox.exec(["echo", "runs"])).toMatchObject({ stdout: "runs\n", exitCode: 0 });
  });

  it("lets the machine's own sudo work, within the sandbox's range of ids", async () => {
    await using sandbox = await daemon.client.create({ name: "sudo", allowPrivilegeEscalation: true });
    await sandbox.exec("useradd -m dev");
    await sandbox.files.write("/etc/sudoers", "root ALL=(ALL) ALL\ndev ALL=(ALL) NOPASSWD: ALL\n", { mode: 0o440 });
    await sandbox.files.write(
      "/etc/pam.d/sudo",
      "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
      {
        parents: true,
      },
    );
    const report = "id -u; cat /proc/self/uid_map";
    const { stdout, stderr } = await sandbox.exec(["sudo", "sh", "-c", report], { user: "dev" });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^0\n +0 +\d+ +65536\n$/);
    const [, base] = /^0\n +0 +(\d+)/.exec(stdout) ?? [];
    expect(Number(base)).toBeGreaterThan(65_536);
  });
});
