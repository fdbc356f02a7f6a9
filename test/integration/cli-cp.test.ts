import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Files } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import type { ApiSubject } from "../support/api.ts";
import { startApi } from "../support/api.ts";
import type { CliOutcome, CliSetting } from "../support/cli-context.ts";
import { runCli } from "../support/cli-context.ts";

let api: ApiSubject;
let files: Files;
let here: string;

beforeAll(async () => {
  api = await startApi();
  files = (await new Plybox({ socketPath: api.socketPath }).create({ name: "box" })).files;
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(async () => {
  here = mkdtempSync(join(tmpdir(), "plybox-cp-"));
  await files.remove("/root/in", { recursive: true, missing: true });
  await files.mkdir("/root/in");
});
afterEach(() => rmSync(here, { recursive: true }));

const plybox = (args: readonly string[], setting: CliSetting = {}): Promise<CliOutcome> =>
  runCli(args, { ...setting, env: { PLYBOX_SOCKET: api.socketPath } });

async function cp(...args: readonly string[]): Promise<void> {
  expect(await plybox(["cp", ...args])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
}

const refused = async (...args: readonly string[]): Promise<string> => {
  const { exitCode, stderr } = await plybox(["cp", ...args]);
  expect(exitCode).toBe(125);
  return stderr;
};

const local = (name: string): string => join(here, name);

describe("plybox cp", () => {
  it("copies a file under a new name, into a directory, and over another", async () => {
    writeFileSync(local("a"), "one", { mode: 0o640 });
    await cp(local("a"), "box:/root/in/b");
    await cp(local("a"), "box:/root/in");
    await cp(local("a"), "box:/root/in/");
    expect(await files.readText("/root/in/b")).toBe("one");
    expect(await files.stat("/root/in/a")).toMatchObject({ mode: 0o640, uid: 0 });
    await files.write("/root/in/a", "two");
    await cp("box:/root/in/a", local("a"));
    expect(readFileSync(local("a"), "utf8")).toBe("two");
    mkdirSync(local("d"));
    await cp("box:/root/in/a", local("d"));
    expect(readFileSync(local("d/a"), "utf8")).toBe("two");
  });

  it("copies a tree both ways with its modes, links and empty directories", async () => {
    mkdirSync(local("tree/sub/empty"), { recursive: true });
    writeFileSync(local("tree/sub/run"), "#!/bin/sh\n", { mode: 0o755 });
    symlinkSync("/etc/hostname", local("tree/absolute"));
    symlinkSync("sub/run", local("tree/relative"));
    await cp("-r", local("tree"), "box:/root/in");
    expect(await files.stat("/root/in/tree/sub/run")).toMatchObject({ mode: 0o755, uid: 0 });
    expect(await files.stat("/root/in/tree/absolute", { follow: false })).toMatchObject({ target: "/etc/hostname" });
    await cp("-r", "box:/root/in/tree", local("back"));
    expect(execFileSync("diff", ["-r", "--no-dereference", local("tree"), local("back")]).toString()).toBe("");
    expect(readlinkSync(local("back/absolute"))).toBe("/etc/hostname");
    expect(statSync(local("back/sub/run")).mode & 0o777).toBe(0o755);
  });

  it("copies a directory's content where the source ends with /.", async () => {
    mkdirSync(local("tree"));
    writeFileSync(local("tree/f"), "f");
    await cp("-r", `${local("tree")}/.`, "box:/root/in");
    expect(await files.readText("/root/in/f")).toBe("f");
    await cp("-r", "box:/root/in/.", here);
    expect(readFileSync(local("f"), "utf8")).toBe("f");
  });

  it("reads standard input and writes standard output", async () => {
    const stdin = "from a pipe\n";
    expect(await plybox(["cp", "-", "box:/root/in/piped"], { stdin })).toMatchObject({ exitCode: 0 });
    expect((await plybox(["cp", "box:/root/in/piped", "-"])).stdout).toBe(stdin);
  });

  it("gives the copy to the user, and keeps to the user's rights", async () => {
    writeFileSync(local("a"), "one");
    await files.chmod("/root", 0o755);
    await files.chown("/root/in", "1000:1000");
    await cp("--user", "1000:1000", local("a"), "box:/root/in/own");
    expect(await files.stat("/root/in/own")).toMatchObject({ uid: 1000, gid: 1000 });
    expect(await refused("--user", "1000", local("a"), "box:/etc/own")).toContain("file/permission-denied");
  });

  it("tells what it did as JSON", async () => {
    writeFileSync(local("a"), "12345");
    const { stdout } = await plybox(["cp", "--json", local("a"), "box:/root/in"]);
    expect(JSON.parse(stdout)).toEqual({ source: local("a"), destination: "box:/root/in/a", bytes: 5 });
  });

  it("refuses what it cannot do, and says why", async () => {
    mkdirSync(local("d"));
    writeFileSync(local("a"), "");
    expect(await refused(local("d"), "box:/root/in")).toContain("give -r (file/is-a-directory)");
    expect(await refused("box:/root/in", here)).toContain("give -r (file/is-a-directory)");
    expect(await refused(local("a"), local("b"))).toContain("one of the two");
    expect(await refused(local("a"), "box:in")).toContain("must be absolute");
    expect(await refused(local("none"), "box:/root/in")).toContain("file/not-found");
    expect(await refused("box:/root/none", here)).toContain("file/not-found");
    expect(await refused(local("a"), "box:/root/none/")).toContain("file/not-a-directory");
    expect(await refused("box:/root/none", local("none/"))).toContain("file/not-found");
  });

  it("leaves out devices and FIFOs and says so, and drops set-user-id bits", async () => {
    const box = await new Plybox({ socketPath: api.socketPath }).get("box");
    await box.exec("cd /root/in && mkfifo pipe && touch run && chmod 4755 run");
    const { exitCode, stderr } = await plybox(["cp", "-r", "box:/root/in", local("out")]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: 'plybox: left out: "./pipe"\n' });
    expect(existsSync(local("out/pipe"))).toBe(false);
    expect(statSync(local("out/run")).mode & 0o7777).toBe(0o755);
  });

  it("does not write through a symlink that is in the destination already", async () => {
    mkdirSync(local("outside"));
    mkdirSync(local("out"));
    symlinkSync(local("outside"), local("out/sub"));
    await files.write("/root/in/sub/f", "x", { parents: true });
    await plybox(["cp", "-r", "box:/root/in/.", local("out")]);
    expect(existsSync(local("outside/f"))).toBe(false);
    expect(lstatSync(local("out/sub")).isSymbolicLink() || existsSync(local("out/sub/f"))).toBe(true);
  });
});

describe("plybox fs", () => {
  it("makes, lists, prints, moves, finds and removes", async () => {
    expect((await plybox(["fs", "mkdir", "-p", "box", "/root/in/x/y"])).exitCode).toBe(0);
    await files.write("/root/in/x/f\u001b[2J", "needle\n");
    const { stdout } = await plybox(["fs", "ls", "box", "/root/in/x"]);
    expect(stdout).toContain("f\\u001b[2J");
    expect(stdout).toContain("y/");
    const listed = JSON.parse((await plybox(["fs", "ls", "--json", "box", "/root/in/x"])).stdout) as { path: string }[];
    expect(listed.map(({ path }) => path)).toEqual(["f\u001b[2J", "y"]);
    expect((await plybox(["fs", "mv", "box", "/root/in/x/f\u001b[2J", "/root/in/x/g"])).exitCode).toBe(0);
    expect((await plybox(["fs", "cat", "box", "/root/in/x/g"])).stdout).toBe("needle\n");
    expect((await plybox(["fs", "find", "--content", "need", "box", "/root/in"])).stdout).toBe("x/g:1:needle\n");
    expect((await plybox(["fs", "find", "--name", "y", "box", "/root/in"])).stdout).toBe("x/y\n");
    expect((await plybox(["fs", "stat", "box", "/root/in/x/g"])).stdout).toContain("- 0644");
    expect((await plybox(["fs", "rm", "box", "/root/in/x"])).stderr).toContain("file/not-empty");
    expect((await plybox(["fs", "rm", "-r", "box", "/root/in/x"])).exitCode).toBe(0);
    expect((await plybox(["fs", "rm", "box", "/root/in/x"])).stderr).toContain("file/not-found");
    expect((await plybox(["fs", "rm", "-f", "box", "/root/in/x"])).exitCode).toBe(0);
  });
});
