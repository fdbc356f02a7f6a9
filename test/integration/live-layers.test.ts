import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { NativeLauncher } from "../../src/native/launcher.ts";
import { tarOf } from "../support/oci-image.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = new TestDaemon({ SQUASH_COMP: "lz4", PLYBOX_SNAPSHOT_MEMORY: "1G" });
  await daemon.start();
  await build("300-tool", { "opt/tool/bin/hello": "hello", "opt/tool/data/one": "one", "opt/tool/data/two": "two" });
  await build("320-sets", {
    ...{ "opt/tool/bin/hello": "hello", "opt/tool/data/one": "one", "opt/tool/data/two": "two" },
    ...{ "set/a/file": "a", "mode/file": "mode" },
  });
});
afterAll(async () => daemon[Symbol.asyncDispose]());

const build = (name: string, files: Readonly<Record<string, string>>) =>
  daemon.client.layers.build(name, tarOf(Object.entries(files).map(([path, content]) => ({ name: path, content }))));
const sh = async (sandbox: Sandbox, line: string): Promise<string> => (await sandbox.exec(line)).stdout.trim();

/** A command that answers each line of its stdin from where it was before, through what it had open before. */
const WITNESS = `mkdir -p /srv/work && cd /srv/work && exec 9>>log; echo ready
while read -r line; do echo "$line" >&9; eval "$line" 2>&1 || true; echo .; done`;

async function witness(sandbox: Sandbox) {
  const command = await sandbox.spawn(WITNESS, { stdin: true });
  const events = command[Symbol.asyncIterator]();
  let text = "";
  const until = async (mark: string): Promise<string> => {
    while (!text.endsWith(mark)) {
      const { value, done } = await events.next();
      if (done) throw new Error(`the witness has ended: ${text}`);
      if (value.kind === "output") text += Buffer.from(value.bytes).toString();
    }
    const said = text.slice(0, -mark.length);
    text = "";
    return said.trim();
  };
  await until("ready\n");
  return {
    command,
    ask: async (line: string): Promise<string> => {
      await command.write(`${line}\n`);
      return await until(".\n");
    },
  };
}

describe("a layer that brings only directories that nothing is at", () => {
  it("comes while processes go on, which see it and may change it, and is the same after a restart", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox"] });
    const { command, ask } = await witness(sandbox);
    expect(await ask("ls /opt/tool >/dev/null 2>&1 || echo nothing")).toBe("nothing");
    const { incarnation } = await sandbox.inspect();
    const answer = await sandbox.activateLayer("tool", { processes: "keep" });
    expect(answer).toMatchObject({ changed: ["300-tool"], processes: "kept", sandbox: { incarnation } });
    expect(answer.sandbox.layers).toEqual(["000-busybox", "300-tool"]);

    expect(await ask("cat /opt/tool/data/one")).toBe("one");
    expect(await ask("rm /opt/tool/data/one; echo mine > /opt/tool/data/own; chmod 700 /opt/tool/bin")).toBe("");
    expect(await ask("pwd; cat log | wc -l")).toBe("/srv/work\n4");
    const shown = "cd /opt; find . -exec stat -c '%n %F %a %U %s' {} + | LC_ALL=C sort; cat tool/data/*";
    const before = await sh(sandbox, shown);
    expect(before).toContain("./tool/data/own");
    expect(before).not.toContain("./tool/data/one");
    await command.kill("SIGKILL");
    await sandbox.restart();
    expect(await sh(sandbox, shown)).toBe(before);
    expect(await sh(sandbox, "cat /opt/tool/bin/hello; wc -l < /srv/work/log")).toBe("hello4");
  });

  it.each([{ kind: "tmpfs", snapshots: true }, { kind: "disk" }, { kind: "disk", bytes: 64 * 1024 ** 2 }] as const)(
    "is mounted over an upper %o, which has what is written there",
    async (upper) => {
      await using sandbox = await daemon.client.create({ layers: ["busybox"], upper });
      const { ask } = await witness(sandbox);
      await sandbox.activateLayer("tool", { processes: "keep" });
      expect(await ask("echo mine >> /opt/tool/data/one; rm /opt/tool/data/two")).toBe("");
      await sandbox.restart();
      expect(await sh(sandbox, "cat /opt/tool/data/*")).toBe("onemine");
    },
  );

  it("comes to the machine's own layer too, where no bind of it lies over the place", async () => {
    await build("310-hidden", { "usr/local/bin/hidden": "hidden", "srv/data/set": "set" });
    await using sandbox = await daemon.client.create();
    const { ask } = await witness(sandbox);
    await sandbox.activateLayer("hidden", { processes: "keep" });
    const shown = "cat /srv/data/set; ls /usr/local/bin/hidden 2>/dev/null";
    expect(await ask(shown)).toBe("set");
    await sandbox.restart();
    expect((await sandbox.exec(shown)).stdout).toBe("set");
  });

  it("is of another in a place that came the same way", async () => {
    await build("400-plug-in", { "opt/tool/plug-in/file": "plug-in", "opt/tool/data/more/file": "more" });
    await using sandbox = await daemon.client.create({ layers: ["busybox"] });
    const { ask } = await witness(sandbox);
    await sandbox.activateLayer("tool", { processes: "keep" });
    await sandbox.activateLayer("plug-in", { processes: "keep" });
    expect(await ask("cat /opt/tool/plug-in/file /opt/tool/data/more/file /opt/tool/data/two")).toBe("plug-inmoretwo");
    await sandbox.restart();
    expect(await sh(sandbox, "cat /opt/tool/plug-in/file /opt/tool/data/more/file /opt/tool/data/two")).toBe(
      "plug-inmoretwo",
    );
  });

  it("is in what is forked, and can be taken away", async () => {
    await using sandbox = await daemon.client.create({
      layers: ["busybox"],
      upper: { kind: "tmpfs", snapshots: true },
    });
    const { ask } = await witness(sandbox);
    await sandbox.activateLayer("tool", { processes: "keep" });
    await ask("echo mine > /opt/tool/data/own");
    const [fork] = (await sandbox.fork()).sandboxes as [Sandbox];
    expect(await sh(fork, "cat /opt/tool/data/*")).toBe("onemine\ntwo");
    await fork.remove();
    await expect(sandbox.deactivateLayer("tool", { processes: "keep" })).rejects.toMatchObject({
      code: "layer/needs-restart",
    });
    expect(await sandbox.deactivateLayer("tool")).toMatchObject({ changed: ["300-tool"], processes: "ended" });
    expect(await sh(sandbox, "find /opt/tool -type f")).toBe("/opt/tool/data/own");
  });

  it.each([
    { kind: "tmpfs", snapshots: true },
    { kind: "tmpfs" },
    { kind: "disk" },
    { kind: "disk", bytes: 64 * 1024 ** 2 },
  ] as const)(
    "leaves nothing of itself in an upper %o when it goes, but what was done to it, which can be removed",
    async (upper) => {
      await using sandbox = await daemon.client.create({ layers: ["busybox"], upper });
      await sandbox.activateLayer("sets", { processes: "keep" });
      expect(await sh(sandbox, "rm /opt/tool/data/one; rm -r /opt/tool/bin; mkdir /srv/own; chmod 700 /mode")).toBe("");
      expect(await sandbox.deactivateLayer("sets")).toMatchObject({ processes: "ended" });
      // Neither the set, which nobody touched, nor names that are hidden; what is the sandbox's own stays.
      expect(await sh(sandbox, "ls -d /set /mode /srv/own 2>/dev/null; find /opt")).toBe(
        "/mode\n/srv/own\n/opt\n/opt/tool\n/opt/tool/data",
      );
      expect(
        await sandbox.exec("ls -la /opt/tool /opt/tool/data && cp -a /opt /srv/copy && rm -rf /opt/tool /mode"),
      ).toMatchObject({
        exitCode: 0,
        stderr: "",
      });
      expect(await sandbox.activateLayer("sets", { processes: "keep" })).toMatchObject({ processes: "kept" });
      expect(await sh(sandbox, "cat /opt/tool/data/one /set/a/file")).toBe("onea");
      await sandbox.deactivateLayer("sets");
      expect(await sh(sandbox, "ls -A /opt; ls -d /set /mode 2>/dev/null")).toBe("");
    },
  );

  it("is one with what the sandbox has put in its place, and hidden by it", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox"] });
    await sh(sandbox, "mkdir -p /opt/tool/bin; echo own > /opt/tool/file; echo own > /opt/tool/data");
    // A directory of its own can be renamed, with what would be mounted in it.
    await expect(sandbox.activateLayer("tool", { processes: "keep" })).rejects.toMatchObject({
      code: "layer/needs-restart",
      message: expect.stringContaining('"/opt/tool"'),
    });
    expect(await sandbox.activateLayer("tool")).toMatchObject({ processes: "ended" });
    const shown = "find /opt/tool -type f | LC_ALL=C sort; cat /opt/tool/data";
    expect(await sh(sandbox, shown)).toBe("/opt/tool/bin/hello\n/opt/tool/data\n/opt/tool/file\nown");
  });

  it("is there when the next daemon takes the sandbox over", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox"] });
    const { exec } = await sandbox.detach("sleep 1000");
    await sandbox.activateLayer("tool", { processes: "keep" });
    const told = { sandbox: sandbox.id, types: ["layers.*"], after: 0 };
    const { value: event } = await daemon.client.events(told).next();
    expect(event).toMatchObject({ type: "layers.changed", data: { changed: ["300-tool"], processes: "kept" } });
    await daemon.restart();
    expect(await sandbox.inspectExec(exec)).toMatchObject({ running: true });
    expect(await sh(sandbox, "cat /opt/tool/data/one")).toBe("one");
  });
});

describe("what is begun", () => {
  it("is finished by the next daemon, before the sandbox goes on", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox"] });
    const { exec } = await sandbox.detach("while ! cat /opt/tool/data/one; do sleep 0.01; done 2>/dev/null");
    const { digest } = await daemon.client.layers.get("tool");
    await daemon.stop();
    const database = new Database(join(daemon.config.stateDir, "registry.sqlite"));
    const grafting = JSON.stringify({ layer: digest, points: ["/opt/tool"] });
    database
      .prepare(
        "UPDATE sandboxes SET body = json_set(body, '$.grafting', json(?)), digests = json_insert(digests, '$[#]', ?)",
      )
      .run(grafting, digest);
    database.close();
    await daemon.start();
    expect(await sandbox.waitExec(exec)).toMatchObject({ exitCode: 0 });
    expect((await sandbox.output(exec)).stdout).toBe("one");
  });

  it("is taken back by the launcher where it cannot be finished, and done to no other process", async () => {
    await using sandbox = await daemon.client.create({ layers: ["busybox", "tool"] });
    await using bare = await daemon.client.create({ layers: ["busybox"] });
    const { state } = await bare.inspect();
    const { pid } = state as { readonly pid: number };
    const startTime = Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19]);
    const base = Number(readFileSync(`/proc/${pid}/uid_map`, "utf8").trim().split(/\s+/)[1]);
    const launcher = new NativeLauncher({ private: false });
    const { digest } = await daemon.client.layers.get("tool");
    const graft = {
      layer: { path: join(daemon.config.runDir, "layers", digest), idmap: true },
      upper: join(daemon.config.runDir, "uppers", bare.id),
      ...{ work: "test", ids: { base, count: 65_536 }, setuid: false },
    };
    const outside = readdirSync("/opt");
    const half = launcher.graft({ pid, startTime }, { ...graft, points: ["/opt/tool", "/opt/none"] });
    await expect(half).rejects.toMatchObject({ code: "launcher/failed", step: "graft", errno: "ENOENT" });
    const other = launcher.graft({ pid, startTime: startTime + 1 }, { ...graft, points: ["/opt/tool"] });
    await expect(other).rejects.toMatchObject({ errno: "ESRCH" });
    expect(await sh(bare, "ls /opt; grep -c /opt /proc/self/mountinfo")).toBe("0");
    expect(await sh(sandbox, "ls /opt")).toBe("tool");
    expect(readdirSync("/opt")).toEqual(outside);
    await launcher.close();
  });
});

describe("a layer that changes what is there", () => {
  it.each([
    ["adds a file to a directory", "500-file", { "etc/added": "added" }, '"/etc/added"'],
    ["replaces a file", "500-replaces", { "etc/passwd": "x" }, '"/etc/passwd"'],
    ["removes a file", "500-removes", { "etc/.wh.passwd": "" }, '"/etc/passwd"'],
    ["hides a directory", "500-opaque", { "etc/.wh..wh..opq": "", "etc/only": "only" }, '"/etc"'],
  ])("and %s is refused, by the path, where processes are to be kept", async (_what, name, files, path) => {
    await build(name, files as Readonly<Record<string, string>>);
    await using sandbox = await daemon.client.create({ layers: ["busybox"] });
    const { ask } = await witness(sandbox);
    const refusal = sandbox.activateLayer(name, { processes: "keep" });
    await expect(refusal).rejects.toMatchObject({
      code: "layer/needs-restart",
      message: expect.stringContaining(`${name} has ${path}`),
    });
    expect(await ask("pwd")).toBe("/srv/work");
    expect((await sandbox.inspect()).layers).toEqual(["000-busybox"]);
    expect(await sandbox.activateLayer(name)).toMatchObject({ processes: "ended" });
  });
});
