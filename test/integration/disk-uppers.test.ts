import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { CreateOptions, Sandbox } from "../../src/client/index.ts";
import { cgroupParentOf } from "../../src/daemon/runtime.ts";
import { BOMBS } from "../support/bombs.ts";
import { BuiltCli } from "../support/built-cli.ts";
import { runCli } from "../support/cli-context.ts";
import { NOTHING, remainsOf } from "../support/remains.ts";
import { TestDaemon } from "../support/test-daemon.ts";
import { cgroupsWith, loopsWith, mountsWith } from "../support/traces.ts";

const MIB = 1024 ** 2;
const RUNS = "echo runs; exec sleep 600";
const SIZED = { kind: "disk", bytes: 32 * MIB, inodes: 1000 } as const;

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
});
afterAll(() => daemon[Symbol.asyncDispose]());
afterEach(async () => {
  expect(remainsOf(daemon)).toEqual(NOTHING);
  await expect.poll(() => loopsWith(uppers())).toEqual([]);
});

const create = (changes: CreateOptions = {}, of: TestDaemon = daemon): Promise<Sandbox> =>
  of.client.create({ layers: ["busybox"], upper: SIZED, ...changes });
const uppers = (of: TestDaemon = daemon): string => join(of.config.stateDir, "uppers");
const imageOf = ({ id }: Sandbox, of?: TestDaemon): string => join(uppers(of), `${id}.ext4`);
const mountOf = ({ id }: Sandbox, of: TestDaemon = daemon): string => join(of.config.runDir, "uppers", id);
const shell = async (sandbox: Sandbox, line: string): Promise<string> => {
  const { stdout, stderr, exitCode } = await sandbox.exec(line);
  expect({ line, stderr, exitCode }).toEqual({ line, stderr: "", exitCode: 0 });
  return stdout;
};

/** What `df` says inside, in bytes and in inodes. */
async function df(sandbox: Sandbox) {
  const fields = async (options: string) =>
    (await shell(sandbox, `df ${options} / | tail -1`)).trim().split(/\s+/).slice(1, 4).map(Number);
  const [kibibytes = 0, usedKibibytes = 0, freeKibibytes = 0] = await fields("-k");
  const [inodes = 0, usedInodes = 0] = await fields("-i");
  const bytes = { bytes: kibibytes * 1024, usedBytes: usedKibibytes * 1024, freeBytes: freeKibibytes * 1024 };
  return { ...bytes, inodes, usedInodes };
}

describe("an upper on disk with a size", () => {
  it("is of that size, and `df` and usage tell what it holds to the byte", async () => {
    await using sandbox = await create();
    const before = await df(sandbox);
    expect(before.bytes).toBeLessThanOrEqual(SIZED.bytes);
    expect(before.freeBytes).toBeGreaterThan(SIZED.bytes * 0.8);
    expect(before.inodes - before.usedInodes).toBeGreaterThanOrEqual(SIZED.inodes - 5);
    expect(before.inodes).toBeLessThan(SIZED.inodes * 1.1);
    await shell(sandbox, "dd if=/dev/zero of=/root/file bs=1M count=5 2>/dev/null; sync");
    const after = await df(sandbox);
    expect(after.usedBytes - before.usedBytes).toBeGreaterThanOrEqual(5 * MIB);
    const usage = await sandbox.usage();
    expect(usage).toMatchObject({ upperBytes: after.usedBytes, limits: { upperBytes: SIZED.bytes } });
    expect(usage.upperMeasuredAt).toBe(usage.at);
  });

  it.each([
    ["bytes", BOMBS.diskBytes],
    ["bytes", "dd if=/dev/zero of=/root/full bs=4M"],
    ["inodes", BOMBS.diskInodes],
  ] as const)("runs out of %s where the kernel says so, and the command is told: %s", async (upperFull, bomb) => {
    await using sandbox = await create();
    expect(await sandbox.exec(bomb)).toMatchObject({
      ...{ limit: "disk", limitsMet: { upperFull }, stderr: expect.stringContaining("No space left on device") },
    });
    expect(statSync(imageOf(sandbox)).blocks * 512).toBeLessThanOrEqual(SIZED.bytes);
    // There is room again, which is not the next command's fault.
    expect(await sandbox.exec("rm -r /root/full && echo x > /root/file && false")).toMatchObject({ limit: null });
  });

  it("holds what an overlay writes: whiteouts, directories anew, owners from 0 on, attributes", async () => {
    await using sandbox = await create({ layers: ["host"] });
    await shell(sandbox, "rm -r /etc/skel 2>/dev/null; mkdir -p /etc/skel; echo mine > /etc/skel/file; rm /etc/passwd");
    await shell(sandbox, "chown 7:8 /etc/skel/file; chmod 4755 /etc/skel/file");
    const seen =
      "ls -A /etc/skel; stat -c '%u %g %a' /etc/skel/file; test ! -e /etc/passwd; ls -A / | grep lost || true";
    const before = await shell(sandbox, seen);
    expect(before).toBe("file\n7 8 4755\n");
    await sandbox.restart();
    expect(await shell(sandbox, seen)).toBe(before);
  });

  it("is mounted on the host without devices and set-user-id programs, through a device that frees itself", async () => {
    await using sandbox = await create();
    const [line = ""] = mountsWith(mountOf(sandbox));
    expect(line).toMatch(/ rw,nosuid,nodev[, ]/);
    expect(line).toContain(" - ext4 ");
    expect(loopsWith(uppers())).toEqual([imageOf(sandbox)]);
    expect(statSync(imageOf(sandbox)).mode & 0o777).toBe(0o600);
  });

  it("gives back what is removed inside", async () => {
    await using sandbox = await create();
    const taken = () => statSync(imageOf(sandbox)).blocks * 512;
    await shell(sandbox, "dd if=/dev/zero of=/root/file bs=1M count=16 2>/dev/null; sync");
    expect(taken()).toBeGreaterThan(16 * MIB);
    await shell(sandbox, "rm /root/file; sync");
    await expect.poll(taken).toBeLessThan(8 * MIB);
  });

  it("is a file and nothing else while the sandbox is stopped", async () => {
    await using sandbox = await create();
    await shell(sandbox, "echo kept > /file");
    await sandbox.stop();
    expect(remainsOf(daemon)).toEqual({ ...NOTHING, disks: [`${sandbox.id}.ext4`] });
    await expect.poll(() => loopsWith(uppers())).toEqual([]);
    // What was written is in it, whatever the page cache still had.
    expect(
      execFileSync("/usr/sbin/debugfs", ["-R", "cat /upper/file", imageOf(sandbox)], { stdio: "pipe" }).toString(),
    ).toBe("kept\n");
    await sandbox.start();
    expect(await shell(sandbox, "cat /file")).toBe("kept\n");
  });

  it("that lost its power starts whole, with what had been synced", async () => {
    await using sandbox = await create();
    await shell(sandbox, "echo kept > /file; mkdir /many; cd /many; seq 300 | xargs touch; sync");
    await shell(sandbox, "rm -r /many; seq 500 > /numbers");
    // As the disk is at this moment, in the midst of it.
    const copy = `${imageOf(sandbox)}.copy`;
    copyFileSync(imageOf(sandbox), copy);
    await sandbox.stop();
    execFileSync("mv", [copy, imageOf(sandbox)]);
    await sandbox.start();
    expect(await shell(sandbox, "cat /file")).toBe("kept\n");
    await sandbox.stop();
    expect(() => execFileSync("/usr/sbin/e2fsck", ["-fn", imageOf(sandbox)], { stdio: "pipe" })).not.toThrow();
  });

  it("is never shown by two devices, not even where somebody holds what was unmounted", async () => {
    const sandbox = await create();
    const held = openSync(mountOf(sandbox), "r");
    try {
      await shell(sandbox, "echo first > /file");
      await sandbox.stop();
      expect(loopsWith(uppers())).toEqual([imageOf(sandbox)]);
      await sandbox.start();
      expect(loopsWith(uppers())).toEqual([imageOf(sandbox)]);
      expect(await shell(sandbox, "cat /file; echo second >> /file")).toBe("first\n");
      await sandbox.restart();
      expect(await shell(sandbox, "cat /file")).toBe("first\nsecond\n");
      await sandbox.remove();
    } finally {
      closeSync(held);
    }
  });

  it("is what it was for the next daemon, and after the launcher was killed", async () => {
    const { launcher } = await childrenOf();
    process.kill(launcher, "SIGKILL");
    await expect.poll(() => existsSync(`/proc/${launcher}`)).toBe(false);
    await using sandbox = await create();
    await shell(sandbox, "echo kept > /file; sync");
    const { upperBytes } = await sandbox.usage();
    await daemon.restart();
    const again = await daemon.client.get(sandbox.id);
    expect(again.view.upper).toEqual(SIZED);
    expect(await again.usage()).toMatchObject({ upperBytes });
    expect(await again.exec(BOMBS.diskBytes)).toMatchObject({ limit: "disk" });
    expect(await shell(again, "cat /file")).toBe("kept\n");
  });
});

/** Pid of this process' launcher. */
async function childrenOf(): Promise<{ readonly launcher: number }> {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8")
    .trim()
    .split(" ")
    .map(Number);
  const launcher = children.find((child) => readFileSync(`/proc/${child}/comm`, "utf8") === "plylaunch\n");
  if (launcher === undefined) throw new Error("no launcher runs");
  return { launcher };
}

describe("plybox run --upper disk --upper-size", () => {
  const cli = (script: string) => [
    ...["run", "--layer", "busybox", "--upper", "disk", "--upper-size", "32M", "--upper-inodes", "1000"],
    ...["--", "sh", "-c", script],
  ];

  it("has that size, and leaves nothing", async () => {
    const env = { PLYBOX_STATE_DIR: daemon.config.stateDir, PLYBOX_RUN_DIR: daemon.config.runDir };
    const { stdout, stderr, exitCode } = await runCli(
      cli("df -k / | tail -1; df -i / | tail -1; exec cat /dev/zero > /full"),
      { env },
    );
    expect({ stderr, exitCode }).toEqual({ stderr: expect.stringContaining("disk"), exitCode: 1 });
    const [kibibytes, inodes] = stdout
      .trim()
      .split("\n")
      .map((line) => Number(line.split(/\s+/)[1]));
    expect(kibibytes).toBeLessThanOrEqual(32 * 1024);
    expect(inodes).toBeLessThan(1100);
  });
});

describe("plybox run that is killed", () => {
  it("leaves no image and no device: the file was the mount's alone", async () => {
    using built = await BuiltCli.make();
    const child = built.start([
      "run",
      "--layer",
      "busybox",
      "--upper",
      "disk",
      "--upper-size",
      "32M",
      "--",
      "sh",
      "-c",
      RUNS,
    ]);
    child.stderr.resume();
    await once(child.stdout, "data");
    const directory = join(built.directory, "state/uppers");
    expect(readdirSync(directory)).toEqual([]);
    expect(loopsWith(directory)).toEqual([expect.stringMatching(/\.ext4 \(deleted\)$/)]);
    const ended = once(child, "close");
    child.kill("SIGKILL");
    await ended;
    await expect.poll(() => loopsWith(directory)).toEqual([]);
    // The next one takes away what the killed one could not.
    const { exitCode, stderr } = await built.run(["run", "--layer", "busybox", "--", "true"]);
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(cgroupsWith(cgroupParentOf(join(built.directory, "run")))).toEqual([]);
  });
});

describe("a disk that is full beneath the images", () => {
  let small: TestDaemon;
  beforeAll(async () => {
    small = new TestDaemon();
    mkdirSync(uppers(small), { recursive: true });
    const image = join(small.directory, "small.img");
    execFileSync("truncate", ["--size", "40M", image]);
    execFileSync("/usr/sbin/mkfs.ext4", ["-q", "-F", "-m", "0", image]);
    execFileSync("mount", ["-o", "loop", image, uppers(small)]);
    await small.start();
  });
  afterAll(async () => {
    thaw();
    await Promise.all((await small.client.list()).map((sandbox) => sandbox.remove()));
    execFileSync("umount", [uppers(small)]);
    await small[Symbol.asyncDispose]();
  });

  function thaw(): void {
    try {
      execFileSync("fsfreeze", ["--unfreeze", uppers(small)], { stdio: "pipe" });
    } catch {
      // It was not frozen.
    }
  }

  it("refuses what cannot be made, and leaves nothing", async () => {
    const ballast = join(uppers(small), "ballast");
    // Block by block, for a larger piece fails before the last ones; and again, for what is kept back for writing them is
    // free afterwards.
    const fill = (): number => {
      const before = existsSync(ballast) ? statSync(ballast).size : 0;
      expect(() => {
        while (true) appendFileSync(ballast, Buffer.alloc(4096));
      }).toThrow("ENOSPC");
      execFileSync("sync", ["--file-system", ballast]);
      return statSync(ballast).size - before;
    };
    await expect.poll(fill).toBe(0);
    await expect(create({}, small)).rejects.toMatchObject({ code: "sandbox/launch-failed", step: "mkfs.ext4" });
    expect(await small.client.list()).toEqual([]);
    rmSync(ballast);
    expect(readdirSync(uppers(small))).toEqual(["lost+found"]);
    expect(remainsOf(small)).toEqual({ ...NOTHING, disks: ["lost+found"] });
  });

  it("is told by fsync, spares what was synced before, and is made good by a stop and a start", async () => {
    await using sandbox = await create({ upper: { kind: "disk", bytes: 256 * MIB } }, small);
    await shell(sandbox, "echo kept > /before; sync");
    const { stderr } = await sandbox.exec("dd if=/dev/zero of=/root/big bs=1M count=100 conv=fsync");
    expect(stderr).toMatch(/No space left on device|Input\/output error/);
    // The file system's own writes fail sooner or later.
    await expect.poll(async () => (await sandbox.exec("echo x >> /after; sync")).stderr).toContain("/after");
    expect(await shell(sandbox, "cat /before")).toBe("kept\n");
    await sandbox.stop();
    // What was not written takes no room any more once it has been mended.
    await sandbox.start();
    expect(await shell(sandbox, "cat /before; rm -f /root/big; sync; echo new > /file; sync; cat /file")).toBe(
      "kept\nnew\n",
    );
    await sandbox.stop();
    expect(() => execFileSync("/usr/sbin/e2fsck", ["-fn", imageOf(sandbox, small)], { stdio: "pipe" })).not.toThrow();
  });

  it("and one that answers nothing keeps no other sandbox waiting while an image is unmounted", async () => {
    const sandbox = await create({}, small);
    await shell(sandbox, "echo kept > /file; sync");
    execFileSync("fsfreeze", ["--freeze", uppers(small)]);
    const stopping = sandbox.stop();
    const isUnmounted = () => mountsWith(mountOf(sandbox, small)).length === 0;
    await expect.poll(isUnmounted).toBe(true);
    const neighbour = await create({ upper: { kind: "tmpfs" } }, small);
    expect(await shell(neighbour, "echo works")).toBe("works\n");
    await neighbour.remove();
    expect((await small.client.get(sandbox.id)).view.state.kind).toBe("stopping");
    thaw();
    await stopping;
    await sandbox.start();
    expect(await shell(sandbox, "cat /file")).toBe("kept\n");
    await sandbox.remove();
  });
});
