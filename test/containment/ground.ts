import type { ChildProcess, ExecFileOptions } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { UndoStack } from "../../src/base/undo-stack.ts";
import type { Facts, Holder, ProgramProbe } from "./probe.ts";
import type { Box, Ended, Target } from "./target.ts";

const SOURCES = fileURLToPath(new URL("attacks/", import.meta.url));
/** As Debian has it, inside and outside. */
const PYTHON = "/usr/bin/python3";
const OWN_NAMESPACES = ["--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
/** Where the attacks lie inside. */
const INSIDE = "/probe";

/** Of a type that no file system knows. */
const NO_HANDLE = "0:00";

/** What the file of the host says. */
export const HOST_TEXT = "of the host\n";

const run = promisify(execFile);
const newWord = (): string => `plybox${randomBytes(8).toString("hex")}`;
const newHolder = (): Omit<Holder, "port"> => ({
  ...{ mark: newWord(), word: newWord(), key: String(randomInt(1, 2 ** 31 - 1)) },
});

/** The command that runs an attack, with the attacks of each language in `directory`. */
function commandOf(language: ProgramProbe["language"], directory: string, args: readonly string[]): string[] {
  switch (language) {
    case "C":
      return [join(directory, "attacks"), ...args];
    case "Python":
      return [PYTHON, join(directory, "attacks.py"), ...args];
    case "shell":
      return ["/bin/sh", join(directory, "attacks.sh"), ...args];
  }
}

/** What the attacks are made of, what they look for outside, and where their controls run. */
export class Ground implements AsyncDisposable {
  /** A word that the daemon's environment is to hold. */
  readonly environment = newWord();
  readonly #directory: string;
  readonly #undo: UndoStack;

  private constructor(directory: string, undo: UndoStack) {
    this.#directory = directory;
    this.#undo = undo;
  }

  /** Compiles the attacks. */
  static async make(): Promise<Ground> {
    await using undo = new UndoStack();
    const directory = mkdtempSync(join(tmpdir(), "plybox-probes-"));
    undo.push("the directory of the attacks", () => rmSync(directory, { recursive: true, force: true }));
    chmodSync(directory, 0o755);
    const sources = readdirSync(SOURCES).filter((name) => name.endsWith(".c"));
    const warnings = ["-Wall", "-Wextra", "-Werror"];
    const options = ["-D_GNU_SOURCE", "-static", "-O1", ...warnings, "-o", join(directory, "attacks")];
    await run("gcc", [...options, ...sources], { cwd: SOURCES });
    for (const name of ["attacks.py", "attacks.sh"])
      writeFileSync(join(directory, name), readFileSync(join(SOURCES, name)));
    return new Ground(directory, undo.move());
  }

  /** Puts the attacks inside, and outside what they look for. */
  async prepare(target: Target): Promise<Facts> {
    const attack = join(this.#directory, "attacks");
    await Promise.all([
      ...["attacks", "attacks.py", "attacks.sh"].map((name) => this.#bring(name, target.box)),
      this.#bring("attacks", target.neighbour),
    ]);
    const file = join(this.#directory, "host-file");
    writeFileSync(file, HOST_TEXT);
    const [host, neighbour] = [newHolder(), newHolder()];
    const hold = ({ mark, key, word }: typeof host): string[] => ["hold", mark, key, word];
    const holder = await this.#start(hold(host), { holding: file });
    const handleOf = async (...args: string[]): Promise<string> => {
      // A kernel that gives no such handle lets nobody open by one either.
      return await run(attack, args).then(
        ({ stdout }) => stdout.trim(),
        () => NO_HANDLE,
      );
    };
    return {
      host: { ...host, port: holder.line },
      neighbour: { ...neighbour, port: await target.neighbour.hold([join(INSIDE, "attacks"), ...hold(neighbour)]) },
      holderPid: holder.pid,
      file,
      directory: this.#directory,
      handles: {
        file: await handleOf("handle-of", file),
        network: await handleOf("handle-of", "/proc/self/ns/net"),
        process: await handleOf("handle-of-process", String(holder.pid)),
      },
      keySerial: (await this.#start(["hold-key", newWord()], { uid: target.uid })).line,
      daemonUser: target.uid,
      environment: this.environment,
      daemon: target.daemon,
      device: await blockDevice(),
    };
  }

  /** Runs a control to its end. */
  async outside(probe: ProgramProbe, facts: Facts): Promise<Ended> {
    const command = commandOf(probe.language, this.#directory, probe.outside(facts));
    const user = probe.byDaemonUser ? { uid: facts.daemonUser, gid: facts.daemonUser } : {};
    if (!probe.disposable) return await this.#run(command, user);
    const line = `${probe.before ?? ":"} && exec "$@"`;
    return await this.#run(["unshare", ...OWN_NAMESPACES, "--", "/bin/sh", "-c", line, "control", ...command], {
      env: { ...process.env, ATTACKS: join(this.#directory, "attacks"), STATE: facts.daemon.stateDir },
    });
  }

  /** Runs an attack on a sandbox to its end. */
  async inside(probe: ProgramProbe, target: Target, facts: Facts): Promise<Ended> {
    return await target.box.exec(commandOf(probe.language, INSIDE, probe.inside(facts)), { user: probe.user });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo[Symbol.asyncDispose]();
  }

  async #run([program = "", ...args]: readonly string[], options: ExecFileOptions): Promise<Ended> {
    return await new Promise((resolve) => {
      const child = execFile(program, args, { cwd: "/", ...options, encoding: "utf8" }, (_, stdout, stderr) => {
        resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
      });
    });
  }

  async #bring(name: string, box: Box): Promise<void> {
    const program = readFileSync(join(this.#directory, name));
    await box.files.write(join(INSIDE, name), program, { mode: 0o755, parents: true });
  }

  /** Starts a program that holds something until its input ends, and resolves with the line that it prints. */
  async #start(
    args: readonly string[],
    { uid = 0, holding = "/dev/null" }: { readonly uid?: number; readonly holding?: string },
  ): Promise<{ readonly line: string; readonly pid: number }> {
    const held = openSync(holding, "r");
    const child = spawn(join(this.#directory, "attacks"), args, {
      cwd: this.#directory,
      env: { ...process.env, PLYBOX_PROBE: this.environment },
      stdio: ["pipe", "pipe", "inherit", held],
      ...{ uid, gid: uid },
    });
    closeSync(held);
    this.#undo.push(`a holder, ${args[0]}`, () => stop(child));
    for await (const line of createInterface(child.stdout as Readable)) {
      if (/^\d+$/.test(line)) return { line, pid: child.pid ?? 0 };
      throw new Error(`${args[0]}: ${line}`);
    }
    throw new Error(`${args[0]} ended without a word`);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
  child.stdin?.end();
  await ended;
}

/** The first block device that can be opened: a machine's own disk may be denied to root too. */
async function blockDevice(): Promise<Facts["device"]> {
  for (const name of readdirSync("/sys/class/block").sort().reverse()) {
    try {
      await (await open(`/dev/${name}`, "r")).close();
    } catch {
      continue;
    }
    const [major = "", minor = ""] = readFileSync(`/sys/class/block/${name}/dev`, "utf8").trim().split(":");
    return { path: `/dev/${name}`, major, minor };
  }
  return undefined;
}
