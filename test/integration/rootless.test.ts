import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { UserProcess } from "../support/ordinary-user.ts";
import { OrdinaryUser } from "../support/ordinary-user.ts";

describe.each([
  { ids: "with newuidmap", subordinateIds: true },
  { ids: "with a single id", subordinateIds: false },
])("a user without privileges, $ids,", ({ subordinateIds }) => {
  let user: OrdinaryUser;
  beforeAll(async () => {
    user = await OrdinaryUser.make({ subordinateIds });
  });
  afterAll(() => user[Symbol.dispose]());

  describe("runs", () => {
    it("a program as root inside, and nothing stays", async () => {
      const script = "import os; print(6*7, os.getuid(), os.getpid() > 1, open('/proc/self/uid_map').read().split())";
      const map = subordinateIds ? "'0', '0', '1', '1', '1', '65535'" : "'0', '0', '1'";
      expect(await user.run(["run", "--", "python3", "-c", script])).toEqual({
        exitCode: 0,
        stdout: `42 0 True [${map}]\n`,
        stderr: "",
      });
      await expect.poll(() => user.processes()).toEqual([]);
    });

    it("a program whose exit code is told, and one that a signal ends", async () => {
      expect(await user.run(["run", "--", "sh", "-c", "exit 7"])).toMatchObject({ exitCode: 7 });
      expect(await user.run(["run", "--", "sh", "-c", "kill -TERM $$"])).toMatchObject({ exitCode: 143 });
    });

    it("a program on what is the user's own, which stays the user's", async () => {
      const work = join(user.home, "work");
      mkdirSync(work);
      chownSync(work, user.uid, user.uid);
      const made = await user.run(["run", "--allow-write", work, "--", "sh", "-c", `echo made > ${work}/file`]);
      expect(made).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await user.runProgram("stat", "-c", "%u %g", join(work, "file"))).toMatchObject({
        stdout: `${user.uid} ${user.uid}\n`,
      });
    });

    it("the steps of a Dockerfile, beside what is Plybox's own", async () => {
      const steps = [
        "FROM busybox",
        "COPY Dockerfile /copied",
        "RUN rm -r /etc/pam.d /bin/ls && echo made > /made",
        "RUN rm /copied",
      ];
      writeFileSync(join(user.home, "Dockerfile"), steps.join("\n"), { mode: 0o644 });
      const built = await user.run(["layer", "build", "100-made", "--dockerfile", "Dockerfile", "--json"]);
      expect(built).toMatchObject({ exitCode: 0, stderr: "" });
      const shown = await user.run([
        "run",
        "--layer",
        "made",
        "--",
        "sh",
        "-c",
        "cat /made; echo /bin/l[s] /etc/pam* /c*",
      ]);
      expect(shown).toMatchObject({ exitCode: 0, stdout: "made\n/bin/l[s] /etc/pam* /c*\n" });
    });

    it("a program without the user's other groups, where the kernel lets go of them", async () => {
      const { stdout } = await user.run(["run", "--", "id", "-G"], { groups: [user.uid, 100, 27] });
      expect(stdout).toBe(subordinateIds ? "0\n" : "0 65534\n");
    });

    it("only where ids can be had, or need not be", async () => {
      // The kernel does not heed newuidmap's set-user-id bit then, as on a file system that is mounted nosuid.
      const ran = await user.runProgram("setpriv", "--no-new-privs", ...user.cli, "run", "--", "echo", "ran");
      if (!subordinateIds) return expect(ran).toEqual({ exitCode: 0, stdout: "ran\n", stderr: "" });
      expect(ran).toMatchObject({ exitCode: 125, stdout: "" });
      expect(ran.stderr).toContain("no user namespace can be had (id-maps: EPERM)");
      expect(ran.stderr).toContain("(host/missing)");
    });

    it("doctor, who finds what is needed", async () => {
      const { exitCode, stdout } = await user.run(["doctor", "--json"]);
      const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: { name: string; detail: string }[] };
      const detail = (name: string) => checks.find((check) => check.name === name)?.detail;
      expect(detail("own namespace")).toContain(subordinateIds ? "with 65537 ids" : "with a single id");
      expect(checks.filter(({ name }) => /^(new namespaces|overlay mounts|seccomp)$/.test(name))).toMatchObject(
        Array.from({ length: 3 }, () => ({ status: "ok" })),
      );
      expect({ exitCode, ok }).toEqual({ exitCode: 0, ok: true });
    });

    it("nothing that reads what another user keeps", async () => {
      const secret = join(user.home, "secret");
      writeFileSync(secret, "of root\n", { mode: 0o600 });
      const read = (mode: number) => {
        chmodSync(secret, mode);
        return user.run(["run", "--allow-read", user.home, "--", "cat", secret]);
      };
      expect(await read(0o644)).toMatchObject({ exitCode: 0, stdout: "of root\n" });
      expect(await read(0o600)).toMatchObject({ exitCode: 1, stdout: "" });
    });

    it("nothing that reaches the user's other processes", async () => {
      // Control: another process of the user's does reach it.
      const hold = "import socket,os,sys; s=socket.socket(socket.AF_UNIX); s.bind('\\0'+sys.argv[1]); s.listen(); ";
      const other = user.start([
        "/usr/bin/python3",
        "-c",
        `${hold}print(os.getpid(), flush=True); input()`,
        "plybox-rootless",
      ]);
      const [line] = (await once(other.stdout, "data")) as [Buffer];
      const attack = ["/usr/bin/python3", "-c", REACH, line.toString().trim(), "plybox-rootless"];
      expect(await user.runProgram(...attack)).toMatchObject({ stdout: "signals connects traces\n" });
      const ended = once(other, "exit");
      expect(await user.run(["run", "--", ...attack])).toMatchObject({ stdout: "\n", stderr: "" });
      other.stdin.end("\n");
      await ended;
    });

    it("a program that ends with it, also when it is killed", async () => {
      const child = user.startCli(["run", "--", "sh", "-c", "echo runs; exec sleep 600"]);
      child.stderr.resume();
      await once(child.stdout, "data");
      expect(agents(user)).toHaveLength(1);
      child.kill("SIGKILL");
      await expect.poll(() => user.processes()).toEqual([]);
      // The next one clears what this one could not.
      expect(await user.run(["run", "--", "true"])).toMatchObject({ exitCode: 0, stderr: "" });
      expect(readdirSync(join(user.home, "run/run"))).toEqual([]);
    });

    it("a program that a signal to it ends", async () => {
      const child = user.startCli([
        "run",
        "--",
        "sh",
        "-c",
        "trap 'echo told; exit 3' TERM; echo runs; sleep 600 & wait",
      ]);
      child.stderr.resume();
      await once(child.stdout, "data");
      const [ended, told] = [once(child, "close"), once(child.stdout, "data")];
      child.kill("SIGTERM");
      expect(String(await told)).toBe("told\n");
      expect(await ended).toEqual([3, null]);
      await expect.poll(() => user.processes()).toEqual([]);
    });

    it("nothing under a limit that nothing here can hold", async () => {
      const refused = await user.run(["run", "--memory-limit", "100M", "--", "true"]);
      expect(refused).toMatchObject({ exitCode: 125, stdout: "" });
      expect(refused.stderr).toContain("limits.memoryBytes cannot be held");
      const sized = await user.run(["run", "--upper", "disk", "--upper-size", "64M", "--", "true"]);
      expect(sized).toMatchObject({ exitCode: 125, stdout: "" });
      expect(sized.stderr).toContain("upper.bytes: an upper on disk has no size without root");
    });
  });

  describe("serves", () => {
    let daemon: ChildProcess;
    beforeAll(async () => {
      daemon = await user.serve();
    });

    /** Kills some of the user's processes, the daemon among them. */
    async function end(which: (process: UserProcess) => boolean): Promise<void> {
      const ended = once(daemon, "close");
      user.kill(which);
      await ended;
      await expect.poll(() => user.processes().filter(which)).toEqual([]);
    }

    it("sandboxes that stop, start and keep what was written", async () => {
      expect(await user.run(["create", "box"])).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await user.run(["exec", "box", "--", "sh", "-c", "echo kept > /root/file"])).toMatchObject({
        exitCode: 0,
      });
      expect(await user.run(["stop", "box"])).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await user.run(["start", "box"])).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await user.run(["exec", "box", "--", "cat", "/root/file"])).toMatchObject({ stdout: "kept\n" });
    });

    it("one on an image, which is unpacked, with an upper on the disk", async () => {
      expect(await user.run(["create", "disk", "--layer", "busybox", "--upper", "disk"])).toMatchObject({ stderr: "" });
      const script = "mkdir -m 700 /home/mine && echo x > /home/mine/file && rm -r /home/user && ls /home";
      expect(await user.run(["exec", "disk", "--", "sh", "-c", script])).toMatchObject({
        stdout: "mine\n",
        stderr: "",
      });
      if (subordinateIds) {
        const made = "id -u; mkdir -m 700 /tmp/d && echo y > /tmp/d/file";
        const ran = await user.run(["exec", "disk", "--user", "1000", "--", "sh", "-c", made]);
        expect(ran).toMatchObject({ stdout: "1000\n", stderr: "" });
      }
      expect(await user.run(["rm", "disk"])).toMatchObject({ exitCode: 0, stderr: "" });
      expect(readdirSync(join(user.home, ".local/state/plybox/uppers"))).toEqual([]);
    });

    it("tells of no limit that nothing holds", async () => {
      const { stdout } = await user.run(["info", "box", "--json"]);
      expect(JSON.parse(stdout)).toMatchObject({
        limits: { memoryBytes: null, pids: null, cpus: null, cpuWeight: null, openFiles: 65_536 },
      });
      expect((await user.run(["info", "box"])).stdout).toMatch(/^Memory +-\nCores +-\nProcesses +-$/m);
    });

    it("refuses what it cannot do, and says why", async () => {
      expect(await user.run(["pause", "box"])).toMatchObject({
        exitCode: 125,
        stderr: expect.stringMatching(/no freezer/),
      });
      expect(await user.run(["create", "--pids", "10"])).toMatchObject({
        exitCode: 125,
        stderr: expect.stringMatching(/limits\.pids/),
      });
      const stranger = await user.run(["exec", "box", "--user", "1000", "--", "id", "-u"]);
      expect(stranger).toMatchObject(
        subordinateIds ? { stdout: "1000\n" } : { exitCode: 125, stderr: expect.stringMatching(/cannot become 1000/) },
      );
    });

    it("what outlives it, when it is killed with its launcher", async () => {
      const before = agents(user);
      await end(isDaemon);
      expect(agents(user)).toEqual(before);
      daemon = await user.serve();
      expect(await user.run(["exec", "box", "--", "cat", "/root/file"])).toMatchObject({ stdout: "kept\n" });
      await user.run(["stop", "box"]);
      expect(agents(user)).toEqual([]);
      // The upper is in a namespace that only the anchor has held meanwhile.
      expect(await user.run(["start", "box"])).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await user.run(["exec", "box", "--", "cat", "/root/file"])).toMatchObject({ stdout: "kept\n" });
    });

    it("what outlives the anchor too, until it is stopped", async () => {
      expect(await user.run(["create", "cut-off"])).toMatchObject({ exitCode: 0 });
      await end((one) => isDaemon(one) || one.name === "plyanchor");
      daemon = await user.serve();
      expect(await user.run(["exec", "cut-off", "--", "echo", "here"])).toMatchObject({ stdout: "here\n" });
      expect(await user.run(["stop", "cut-off"])).toMatchObject({ exitCode: 0, stderr: "" });
      const started = await user.run(["start", "cut-off"]);
      expect(started).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("(sandbox/lost)") });
      expect(await user.run(["rm", "cut-off"])).toMatchObject({ exitCode: 0, stderr: "" });
    });

    it("and names what was lost with the whole session", async () => {
      expect(await user.run(["create", "disk", "--upper", "disk"])).toMatchObject({ exitCode: 0 });
      await end(() => true);
      daemon = await user.serve();
      const { stdout } = await user.run(["ls"]);
      expect(stdout).toMatch(/box .*lost/);
      expect(stdout).toMatch(/disk .*stopped/);
      expect(await user.run(["rm", "box", "disk"])).toMatchObject({ exitCode: 0, stderr: "" });
    });

    it("and leaves nothing when it stops without sandboxes", async () => {
      const ended = once(daemon, "close");
      daemon.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
      await expect.poll(() => user.processes()).toEqual([]);
      expect(readdirSync(join(user.home, "run"))).not.toContain("namespace");
    });
  });
});

/** What can be done with the process whose pid is the first argument, and whose abstract socket the second one names. */
const REACH = `
import os, socket, sys
pid, name = int(sys.argv[1]), sys.argv[2]
def tried(what, attempt):
    try: attempt(); return [what]
    except OSError: return []
connect = lambda: socket.socket(socket.AF_UNIX).connect("\\0" + name)
environment = lambda: open(f"/proc/{pid}/environ").read()
print(*tried("signals", lambda: os.kill(pid, 0)), *tried("connects", connect), *tried("traces", environment))
`;

const isDaemon = ({ name, command }: UserProcess) =>
  name !== "plyanchor" && /main\.js serve|plylaunch --agent/.test(command);

const agents = (user: OrdinaryUser) => user.processes().filter(({ command }) => command.startsWith("plyagent "));
