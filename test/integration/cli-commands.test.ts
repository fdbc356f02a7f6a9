import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { VERSION } from "../../src/daemon/version.ts";
import type { ApiSubject } from "../support/api.ts";
import { startApi } from "../support/api.ts";
import type { CliOutcome, CliSetting } from "../support/cli-context.ts";
import { runCli } from "../support/cli-context.ts";

/** Every command but `run` and `serve`, in this process, against a real daemon. */
let api: ApiSubject;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const plybox = (args: readonly string[], setting: CliSetting = {}): Promise<CliOutcome> =>
  runCli(args, { ...setting, env: { PLYBOX_SOCKET: api.socketPath, ...setting.env } });

async function created(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await plybox(["create", "--json", ...args]);
  expect(stderr).toBe("");
  return (JSON.parse(stdout) as { id: string }).id;
}

describe("the help", () => {
  it("is shown where nothing is asked for", async () => {
    const { exitCode, stdout, stderr } = await runCli([]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    for (const command of ["run", "create", "ls", "info", "exec", "rm", "layer", "serve", "doctor", "version"]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${command} `, "m"));
    }
  });

  it.each([
    ["run", "--help"],
    ["help", "run"],
    ["exec", "-h"],
    ["layer", "build", "--help"],
    ["help", "layer"],
  ])("%s %s is shown on stdout", async (...args) => {
    const { exitCode, stdout, stderr } = await runCli(args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/^Usage: plybox /);
  });
});

describe("wrong input", () => {
  const line = "[^\\n]*";
  it.each([
    [["frobnicate"], "unknown command 'frobnicate'"],
    [["rn"], "unknown command 'rn' \\(Did you mean one of rm, run\\?\\)"],
    [["--frob"], "unknown option '--frob'"],
    [["run"], "give a command: no layer is of an image that has one"],
    [["run", "--"], "give a command: no layer is of an image that has one"],
    [["run", "--frob", "true"], "unknown option '--frob'"],
    [["run", "--memory-limit", "lots", "--", "true"], '--memory-limit: not a size: "lots"'],
    [["run", "--memory-limit", "-5M", "--", "true"], "--memory-limit: not a size"],
    [["run", "--time-limit", "10", "--", "true"], '--time-limit: not a duration: "10"'],
    [["run", "--cpus", "none", "--", "true"], "--cpus: not a number of cores"],
    [["run", "--pids", "0", "--", "true"], "--pids: not a count"],
    [["run", "--memory-limit", "1K", "--", "true"], "--memory-limit: must be 4M to 1T, not 1K"],
    [["run", "--memory-limit", "2T", "--", "true"], "--memory-limit: must be 4M to 1T, not 2T"],
    [["run", "--pids", "99999999", "--", "true"], "--pids: must be 1 to 4194304, not 99999999"],
    [["run", "--upper-size", "1", "--", "true"], "--upper-size: must be 64K to 1T, not 1"],
    [["run", "--cpu-weight", "0", "--", "true"], "--cpu-weight: not a count"],
    [["run", "--cpu-weight", "10001", "--", "true"], "--cpu-weight: must be 1 to 10000, not 10001"],
    [["run", "--open-files", "3", "--", "true"], "--open-files: must be 16 to 1048576, not 3"],
    [["run", "--file-size", "1", "--", "true"], "--file-size: must be 1K to 1T, not 1"],
    [["run", "--upper-inodes", "1", "--", "true"], "--upper-inodes: must be 64 to 4294967296, not 1"],
    [["run", "--env", "1A=b", "--", "true"], "--env: not a variable"],
    [["run", "--env", "UNSET_HERE", "--", "true"], "--env: UNSET_HERE is not set here"],
    [["run", "--cwd", "work", "--", "true"], '--cwd: not an absolute path: "work"'],
    [["run", "--allow-read", "/no/such/path", "--", "true"], "--allow-read: /no/such/path does not exist"],
    [["run", "--allow-write", "/", "--", "true"], "--allow-write: / cannot be shown whole"],
    [["run", "--upper", "floppy", "--", "true"], `option '--upper <kind>' argument 'floppy' is invalid${line}`],
    [
      ["run", "--upper", "disk", "--upper-size", "1M", "--", "true"],
      "--upper-size: must be 16M or more on disk, not 1M",
    ],
    [
      ["run", "--upper", "disk", "--upper-inodes", "100", "--", "true"],
      "--upper-inodes: an upper on disk counts inodes only where it has an --upper-size",
    ],
    [
      ["run", "--upper", "disk", "--upper-size", "16M", "--upper-inodes", "4097", "--", "true"],
      "upper.inodes: must be 64 to 4096, not 4097",
    ],
    [["exec", "--memory-limit", "1K", "a", "--", "true"], "--memory-limit: must be 1M to 1T, not 1K"],
    [["create", "Not_A_Name"], 'not a valid sandbox name: "Not_A_Name"'],
    [["create", "a", "b"], `too many arguments${line}`],
    [["create", "--layer", "../etc"], "layers.0 must be a layer's name"],
    [["create", "--layer", "404-missing"], "layers: there is no layer 404-missing"],
    [["create", "--cpus", "5000"], "--cpus: must be 0.01 to 1024, not 5000"],
    [["create", "--hostname", "a_b"], "hostname must be 1 to 63"],
    [["info", "../etc/passwd"], "ref must be a sandbox's id or name"],
    [["exec"], "missing required argument 'sandbox'"],
    [["exec", "box"], "missing required argument 'command'"],
    [["exec", "box", "--frob", "--", "true"], "unknown option '--frob'; write -- before the command"],
    [["exec", "box", "--user", "root"], "missing required argument 'command'"],
    [["rm"], "name a sandbox, or give --all"],
    [["rm", "--all", "box"], "give sandboxes or --all, not both"],
    [["layer", "build", "tools", "--from-dir", "/tmp"], 'not a valid layer name: "tools"'],
    [["layer", "build", "python", "--from-dir", "/tmp"], "name: it has its own packages, and is made of nothing else"],
    [
      ["layer", "build", "100-tools"],
      "give what the layer is made of: one of --from-dir, --from-tar, --from, --from-sandbox and",
    ],
    [["layer", "frob"], "unknown command 'frob'"],
    [["ls", "--socket", "/a", "--url", "http://b"], "give --socket or --url, not both"],
    [["ls", "--url", "ftp://b"], 'not an address: "ftp://b"'],
    [["ls", "--token-file", "/no/such/file"], "--token-file: /no/such/file cannot be read"],
  ])("%j gets one line with its code, and 125", async (args, message) => {
    const { exitCode, stdout, stderr } = await plybox(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 125, stdout: "" });
    expect(stderr).toMatch(new RegExp(`^plybox: ${message}${line} \\((input/invalid|layer/not-found)\\)\\n$`));
  });

  it("of a command of commands shows what there is", async () => {
    const { exitCode, stderr } = await plybox(["layer"]);
    expect(exitCode).toBe(125);
    expect(stderr).toContain("inspect");
  });

  it.each([
    [["info", "nobody"], "sandbox/not-found"],
    [["exec", "nobody", "--", "true"], "sandbox/not-found"],
    [["rm", "nobody"], "sandbox/not-found"],
    [["layer", "inspect", "404-missing"], "layer/not-found"],
    [["layer", "rm", "404-missing"], "layer/not-found"],
  ])("%j gets the daemon's answer", async (args, code) => {
    const { exitCode, stdout, stderr } = await plybox(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 125, stdout: "" });
    expect(stderr).toMatch(new RegExp(`^plybox: [^\\n]+ \\(${code}\\)\\n$`));
  });

  it("of where the daemon is asks for it", async () => {
    const { exitCode, stderr } = await plybox(["ls", "--socket", "/no/such/socket"]);
    expect(exitCode).toBe(125);
    expect(stderr).toBe(
      "plybox: no answer at /no/such/socket (ENOENT); is plybox serve running? (daemon/unreachable)\n",
    );
  });
});

describe("the life of a sandbox", () => {
  it("is created, listed, shown and removed", async () => {
    expect(await plybox(["create", "web"])).toEqual({ exitCode: 0, stdout: "web\n", stderr: "" });
    const now = new Date(Date.now() + 3 * 60_000);
    const listed = await plybox(["ls"], { now });
    expect(listed.stdout).toMatch(/^NAME +ID +STATE +AGE +MEMORY +LAYERS\n/);
    expect(listed.stdout).toMatch(/^web +sb_\w{26} +running +3m +1G +000-host$/m);
    const shown = await plybox(["info", "web"], { now });
    expect(shown.stdout).toMatch(/^Name +web$/m);
    expect(shown.stdout).toMatch(/^Created +\S+Z \(3m ago\)$/m);
    expect(await plybox(["create", "web"])).toMatchObject({ exitCode: 125, stderr: /\(sandbox\/name-taken\)\n$/ });
    expect(await plybox(["rm", "web"])).toEqual({ exitCode: 0, stdout: "web\n", stderr: "" });
    expect((await plybox(["ls"])).stdout).not.toContain("web");
  });

  it("is made as the options say", async () => {
    const id = await created(
      "--memory-limit",
      "64M",
      "--cpus",
      "0.5",
      ...["--pids", "32", "--cpu-weight", "300", "--open-files", "512", "--file-size", "1M"],
      "--env",
      "A=b=c",
      ...["--upper", "disk", "--upper-size", "32M", "--upper-inodes", "500"],
    );
    const { stdout } = await plybox(["info", id, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      id,
      limits: {
        ...{ memoryBytes: 67_108_864, cpus: 0.5, pids: 32 },
        ...{ cpuWeight: 300, openFiles: 512, fileSizeBytes: 1_048_576 },
      },
      env: { A: "b=c" },
      upper: { kind: "disk", bytes: 33_554_432, inodes: 500 },
      execs: [],
    });
    expect((await plybox(["info", id])).stdout).not.toContain("b=c");
    await plybox(["rm", id]);
  });

  it("has its id printed where it has no name", async () => {
    const { stdout } = await plybox(["create"]);
    expect(stdout).toMatch(/^sb_\w{26}\n$/);
    expect((await plybox(["ls", "-q"])).stdout).toBe(stdout);
    await plybox(["rm", stdout.trim()]);
  });

  it("ends for all that can be removed, whatever becomes of the others", async () => {
    const [one, two] = [await created(), await created()];
    const { exitCode, stdout, stderr } = await plybox(["rm", one, "nobody", two]);
    expect(exitCode).toBe(125);
    expect(stdout).toBe(`${one}\n${two}\n`);
    expect(stderr).toMatch(/^plybox: nobody: .* \(sandbox\/not-found\)\n$/);
    expect(JSON.parse((await plybox(["ls", "--json"])).stdout)).toEqual([]);
  });

  it("--force does not mind one that is gone", async () => {
    expect(await plybox(["rm", "--force", "nobody"])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  });

  it("--all removes every one, named or not, and says so as JSON", async () => {
    const id = await created();
    await created("db");
    const { stdout, exitCode } = await plybox(["rm", "--all", "--json"]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toEqual([
      { sandbox: id, removed: true },
      { sandbox: "db", removed: true },
    ]);
  });

  it("is shown in colours on a terminal alone", async () => {
    const id = await created();
    const green = "\u001b[32mrunning\u001b[39m";
    expect((await plybox(["ls"], { isTerminal: true })).stdout).toContain(green);
    expect((await plybox(["ls"], { isTerminal: true, env: { NO_COLOR: "1" } })).stdout).not.toContain("\u001b");
    expect((await plybox(["ls"])).stdout).not.toContain("\u001b");
    await plybox(["rm", id]);
  });
});

describe("exec", () => {
  let id: string;
  beforeAll(async () => {
    id = await created("--env", "FROM=create");
  });
  afterAll(() => plybox(["rm", id]));

  it.each([
    ["the command's own code", ["sh", "-c", "exit 7"], 7],
    ["128 + n for a signal", ["sh", "-c", "kill -TERM $$"], 143],
    ["127 for a program that is not there", ["no-such-program"], 127],
    ["126 for one that cannot be executed", ["/etc/passwd"], 126],
    ["0 for success", ["true"], 0],
  ])("exits with %s", async (_what, command, exitCode) => {
    expect(await plybox(["exec", id, "--", ...command])).toMatchObject({ exitCode, stdout: "" });
  });

  it("keeps stdout and stderr apart, and says nothing itself", async () => {
    const { stdout, stderr } = await plybox(["exec", id, "--", "sh", "-c", "echo out; echo err >&2"]);
    expect({ stdout, stderr }).toEqual({ stdout: "out\n", stderr: "err\n" });
  });

  it("passes stdin on, and its end", async () => {
    expect((await plybox(["exec", id, "--", "rev"], { stdin: "abc\n" })).stdout).toBe("cba\n");
  });

  it("sets variables, the directory, and passes a variable of the caller's", async () => {
    const script = 'echo "$FROM $A $LANG $PWD"';
    const args = ["exec", "--env", "A=1", "--env", "LANG", "--cwd", "/usr", id, "--", "sh", "-c", script];
    expect((await plybox(args, { env: { LANG: "C.UTF-8" } })).stdout).toBe("create 1 C.UTF-8 /usr\n");
  });

  it.each([
    ["after --", ["--", "printf", "%s|", "--json", "--"]],
    ["without --", ["printf", "%s|", "--json", "--"]],
    ["after options behind the name", ["--cwd", "/", "--", "printf", "%s|", "--json", "--"]],
  ])("leaves the command's own options to it, %s", async (_where, words) => {
    expect((await plybox(["exec", id, ...words])).stdout).toBe("--json|--|");
  });

  it("ends a command that takes too long with 124, and names the limit", async () => {
    const { exitCode, stderr } = await plybox(["exec", "--time-limit", "50ms", id, "--", "sleep", "60"]);
    expect(exitCode).toBe(124);
    expect(stderr).toBe("plybox: the command ran into its time limit of 50ms\n");
  });

  it("--json collects the output with the report", async () => {
    const { exitCode, stdout } = await plybox([
      "exec",
      "--json",
      id,
      "--",
      "sh",
      "-c",
      "echo out; printf '\\377' >&2; exit 3",
    ]);
    expect(exitCode).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      exitCode: 3,
      signal: null,
      limit: null,
      stdout: "out\n",
      stderr: "\ufffd",
      stderrBytes: 1,
      notUtf8: ["stderr"],
    });
  });

  it("a refused command is one line and no JSON", async () => {
    const { stdout, stderr } = await plybox(["exec", "--json", id, "--", "no-such-program"]);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^plybox: [^\n]* \(exec\/program-not-found\)\n$/);
  });
});

describe("layers", () => {
  it("are listed with size, age and origin", async () => {
    const { stdout } = await plybox(["layer", "ls"], { now: new Date(Date.now() + 50 * 3_600_000) });
    expect(stdout).toMatch(/^900-spare +4K +2d +squashfs +[0-9a-f]{12} +directory \/\S+\/tree$/m);
  });

  it("are shown one by one", async () => {
    const { stdout } = await plybox(["layer", "inspect", "900-spare"]);
    expect(stdout).toMatch(/^Compression +zstd 15, blocks of 128K$/m);
    const { bytes } = JSON.parse((await plybox(["layer", "inspect", "900-spare", "--json"])).stdout) as {
      bytes: number;
    };
    expect(stdout).toMatch(new RegExp(`^Size +4K \\(${bytes} bytes\\)$`, "m"));
  });

  it("are removed", async () => {
    expect(await plybox(["layer", "rm", api.spareLayer])).toMatchObject({ exitCode: 0, stdout: `${api.spareLayer}\n` });
    expect((await plybox(["layer", "ls"])).stdout).not.toContain(api.spareLayer);
  });
});

describe("version", () => {
  it("names the program, the daemon and Node", async () => {
    const { stdout } = await plybox(["version", "--json"]);
    expect(JSON.parse(stdout)).toEqual({
      plybox: VERSION,
      daemon: VERSION,
      node: process.versions.node,
    });
  });

  it("does without a daemon", async () => {
    const { exitCode, stdout } = await plybox(["--version"], { env: { PLYBOX_SOCKET: "/no/such/socket" } });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^daemon +not running$/m);
  });
});

describe("a daemon on TCP", () => {
  const url = (): string => `http://127.0.0.1:${api.port}`;

  it("is asked with the token of the environment", async () => {
    const env = { PLYBOX_SOCKET: "", PLYBOX_URL: url(), PLYBOX_TOKEN: api.token };
    expect(await plybox(["ls", "--json"], { env })).toMatchObject({ exitCode: 0, stderr: "" });
  });

  it("refuses without one, and with another", async () => {
    const refused = { exitCode: 125, stdout: "" };
    expect(await plybox(["ls", "--url", url()])).toMatchObject({ ...refused, stderr: /\(auth\/missing\)\n$/ });
    const env = { PLYBOX_TOKEN: "another" };
    expect(await plybox(["ls", "--url", url()], { env })).toMatchObject({ ...refused, stderr: /\(auth\/refused\)\n$/ });
  });
});
