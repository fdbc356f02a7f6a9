import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MAIN = join(ROOT, "dist/cli/main.js");

let building: Promise<unknown> | undefined;

/**
 * Compiles the sources as they are now; once for each file of tests, one after the other: who comes second finds that
 * nothing has changed, and leaves alone what the first already runs.
 */
export async function buildCli(): Promise<void> {
  const compile = [process.execPath, join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"];
  building ??= promisify(execFile)("flock", [join(ROOT, "tsconfig.build.json"), ...compile], { cwd: ROOT });
  await building;
}

/** What one process of the CLI did. */
export interface CliResult {
  /** Null when a signal ended the process itself. */
  readonly exitCode: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface CliInput {
  readonly stdin?: string | Buffer;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** The built program, with directories of its own for all that it keeps. */
export class BuiltCli implements Disposable {
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;

  static async make(): Promise<BuiltCli> {
    await buildCli();
    return new BuiltCli();
  }

  private constructor() {
    this.directory = mkdtempSync(join(tmpdir(), "plybox-cli-"));
    this.env = {
      PATH: process.env.PATH,
      PLYBOX_STATE_DIR: join(this.directory, "state"),
      PLYBOX_RUN_DIR: join(this.directory, "run"),
    };
  }

  /** Starts the program in a process group of its own, as a shell does. */
  start(args: readonly string[], { env, cwd }: Omit<CliInput, "stdin"> = {}): ChildProcessWithoutNullStreams {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: cwd ?? this.directory,
      env: { ...this.env, ...env },
      detached: true,
    });
    child.stdin.on("error", () => {}); // A command need not read its input.
    return child;
  }

  /** Runs the program to its end. */
  async run(args: readonly string[], input: CliInput = {}): Promise<CliResult> {
    const child = this.start(args, input);
    const output = Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
    child.stdin.end(input.stdin ?? "");
    const [exitCode] = (await once(child, "close")) as [number | null];
    const [stdout, stderr] = (await output).map((pieces) => Buffer.concat(pieces as Buffer[])) as [Buffer, Buffer];
    return { exitCode, stdout, stderr: stderr.toString() };
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
