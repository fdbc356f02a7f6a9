import type { ChildProcess, ChildProcessWithoutNullStreams } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { buildCli } from "./built-cli.ts";
import { sendSignal } from "./send-signal.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Of another clone's tests, which run at the same time, no user has these. */
const UID = 40_000 + (process.pid % 20_000);
const SUBORDINATE = { first: 0x6000_0000 + (process.pid % 2048) * 65_536, count: 65_536 };

export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface StartOptions {
  /** Besides the user's own. */
  readonly groups?: readonly number[];
  readonly env?: NodeJS.ProcessEnv;
}

export interface UserProcess {
  readonly pid: number;
  /** What it calls itself. */
  readonly name: string;
  readonly command: string;
}

export interface UserOptions {
  /** Whether /etc/subuid allots ids to the user. */
  readonly subordinateIds: boolean;
}

/**
 * A user without any privilege, whom only processes of this test know: they see an /etc of their own, in which the user
 * has an account, and the repository at a path that everybody may enter.
 */
export class OrdinaryUser implements Disposable {
  readonly uid = UID;
  readonly subordinate = SUBORDINATE;
  readonly home: string;
  readonly #directory: string;

  static async make(options: UserOptions): Promise<OrdinaryUser> {
    await buildCli();
    return new OrdinaryUser(options);
  }

  private constructor({ subordinateIds }: UserOptions) {
    this.#directory = mkdtempSync(join(tmpdir(), "plybox-user-"));
    chmodSync(this.#directory, 0o755);
    for (const name of ["etc", "home", "plybox"]) mkdirSync(join(this.#directory, name));
    this.home = join(this.#directory, "home");
    chownSync(this.home, UID, UID);
    chmodSync(this.home, 0o700);
    const { first, count } = SUBORDINATE;
    const allotted = subordinateIds ? `plybox-test:${first}:${count}\n` : "";
    const etc = {
      passwd: `root:x:0:0:root:/root:/bin/sh\nplybox-test:x:${UID}:${UID}::${this.home}:/bin/sh\n`,
      subuid: allotted,
      subgid: allotted,
    };
    for (const [name, text] of Object.entries(etc)) writeFileSync(join(this.#directory, "etc", name), text);
  }

  /** Starts a program as this user. */
  start(program: readonly string[], { groups = [], env = {} }: StartOptions = {}): ChildProcessWithoutNullStreams {
    const script = `
      mount -t overlay -o lowerdir="$1/etc:/etc" plybox-test /etc
      mount --bind "$2" "$1/plybox"
      shift 2
      exec setpriv "$@"`;
    const own = groups.length > 0 ? ["--groups", groups.join(",")] : ["--clear-groups"];
    const ids = ["--reuid", String(UID), "--regid", String(UID), ...own, "--inh-caps=-all"];
    const words = ["-m", "sh", "-ec", script, "sh", this.#directory, ROOT, ...ids, ...program];
    const child = spawn("unshare", words, {
      cwd: this.home,
      env: {
        PATH: process.env.PATH,
        HOME: this.home,
        PLYBOX_RUN_DIR: join(this.home, "run"),
        PLYBOX_LOG_LEVEL: "silent",
        ...env,
      },
      detached: true,
    });
    child.stdin.on("error", () => {}); // A program need not read its input.
    return child;
  }

  /** Starts `plybox` as this user. */
  startCli(args: readonly string[], options?: StartOptions): ChildProcessWithoutNullStreams {
    return this.start([...this.cli, ...args], options);
  }

  /** Starts a daemon as this user; resolves when it says that it listens. */
  async serve(env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
    const child = this.startCli(["serve"], { env });
    child.stderr.pipe(process.stderr);
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    if (!line.startsWith("plybox listens on ")) throw new Error(line);
    return child;
  }

  /** What starts `plybox`. */
  get cli(): readonly string[] {
    return [process.execPath, join(this.#directory, "plybox/dist/cli/main.js")];
  }

  async run(args: readonly string[], options?: StartOptions): Promise<Outcome> {
    return await outcome(this.startCli(args, options));
  }

  async runProgram(...program: readonly string[]): Promise<Outcome> {
    return await outcome(this.start(program));
  }

  /** The processes that are this user's, or one's of the ids that the user has been allotted. */
  processes(): readonly UserProcess[] {
    return readdirSync("/proc").flatMap((name) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        const status = readFileSync(`/proc/${name}/status`, "utf8");
        const uid = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
        const isTheirs = uid === UID || (uid >= SUBORDINATE.first && uid < SUBORDINATE.first + SUBORDINATE.count);
        if (!isTheirs || /^State:\s+Z/m.test(status)) return [];
        const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
        const comm = readFileSync(`/proc/${name}/comm`, "utf8").trim();
        return [{ pid: Number(name), name: comm, command: words.join(" ").trim() }];
      } catch {
        return []; // It has ended meanwhile.
      }
    });
  }

  /** One that is killed may have taken others with it. */
  kill(which: (process: UserProcess) => boolean): void {
    for (const { pid } of this.processes().filter(which)) sendSignal(pid, "SIGKILL");
  }

  [Symbol.dispose](): void {
    this.kill(() => true);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function outcome(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  child.stdin.end();
  const pieces = Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
  const [exitCode] = (await once(child, "close")) as [number | null];
  const [stdout = "", stderr = ""] = (await pieces).map((parts) => Buffer.concat(parts as Buffer[]).toString());
  return { exitCode, stdout, stderr };
}
