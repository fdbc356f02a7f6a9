import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { ExecOptions } from "../src/client/exec-options.ts";
import { Plybox } from "../src/client/plybox.ts";
import type { Sandbox } from "../src/client/sandbox.ts";
import type { Unavailable } from "./benchmark.ts";
import { runscCommand } from "./oci-references.ts";
import { findProgram, notInstalled } from "./programs.ts";
import type { Workbench } from "./workbench.ts";

export const UNCONFINED = "unconfined";
/** Where the layer above the host's has the workload. */
const INSIDE = ["/opt/workload"];
/** Of what takes a second to start there are as many times fewer samples. */
const SLOW_EVERY = 5;

/** A way to run bench/native/workload.c. */
export interface Confinement {
  readonly name: string;
  readonly every: number;
  /** Where a program in it may write; on a tmpfs, or in memory. */
  readonly ownDirectory: string;
  /** Runs it to its end; returns its standard output. */
  run(args: readonly string[], stdin?: string): Promise<string>;
}

/** One that is a command line. */
export interface CommandConfinement extends Confinement {
  command(args: readonly string[]): Promise<readonly string[]>;
}

/** A sandbox as everybody gets it, on the machine's own programs, and the workload in a layer above. */
export interface OwnConfinement extends Confinement, AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly program: readonly string[];
}

export async function plybox(bench: Workbench): Promise<OwnConfinement> {
  const daemon = await bench.daemon();
  const { layer } = await bench.workload();
  const client = new Plybox({ socketPath: daemon.socketPath });
  const sandbox = await client.create({ layers: ["host", layer] });
  return {
    name: "plybox",
    every: 1,
    ownDirectory: "/root",
    sandbox,
    program: INSIDE,
    run: (args, stdin = "") => runInside(sandbox, args, { stdin }),
    async [Symbol.asyncDispose]() {
      await sandbox.remove();
      client.close();
    },
  };
}

/** In the same sandbox, by somebody who is not root there. */
export const plyboxUser = ({ sandbox }: OwnConfinement): Confinement => ({
  name: "plybox, user 1000",
  every: 1,
  ownDirectory: "/tmp",
  run: (args, stdin = "") => runInside(sandbox, args, { stdin, user: "1000" }),
});

async function runInside(sandbox: Sandbox, args: readonly string[], options: ExecOptions): Promise<string> {
  const { exitCode, stdout, stderr } = await sandbox.exec([...INSIDE, ...args], options);
  if (exitCode !== 0) throw new Error(`the workload ended with ${exitCode}: ${stderr}`);
  return stdout;
}

/** The same program as it is, and in other sandboxes: the machine's /usr is what it is on all of them. */
export async function others(bench: Workbench, program: string): Promise<(CommandConfinement | Unavailable)[]> {
  const all = [
    await direct(bench, program, { name: UNCONFINED, before: [] }),
    await bubblewrap(bench, program),
    await firejail(bench, program),
    await runsc(bench, program),
  ];
  return await Promise.all(all.map(tried));
}

export const isUsable = <T extends Confinement>(one: T | Unavailable): one is T => "run" in one;

interface Direct {
  readonly name: string;
  /** Goes before the program, which is at its own path. */
  readonly before: readonly string[];
}

async function direct(bench: Workbench, program: string, { name, before }: Direct): Promise<CommandConfinement> {
  const ownDirectory = join(await bench.sharedMemory(), `own-${name}`);
  await mkdir(ownDirectory, { recursive: true });
  return byCommand(name, ownDirectory, async (args) => [...before, program, ...args]);
}

/** In a mount namespace of its own, and nowhere else. */
const OVERLAY_THEN = `mount -t tmpfs none "$1" && cd "$1" && mkdir lower upper work own &&
  mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none own && shift && exec "$@"`;

/** What an overlay costs by itself: one over a tmpfs, as a sandbox's is, and nothing else around the program. */
export async function overlay(bench: Workbench, program: string): Promise<CommandConfinement | Unavailable> {
  const name = "overlay, unconfined";
  const directory = join(await bench.sharedMemory(), "overlay");
  await mkdir(directory, { recursive: true });
  const prefix = ["unshare", "--mount", "sh", "-c", OVERLAY_THEN, "sh", directory];
  const holder = bench.driver((reference) => [...prefix, reference, "spawn", "/bin/true"]);
  try {
    await holder.run("exit");
  } catch (error) {
    return { name, reason: `fails here: ${(error as Error).message.replaceAll("\n", "; ")}` };
  }
  const before = ["nsenter", `--mount=/proc/${holder.pid}/ns/mnt`];
  return byCommand(name, join(directory, "own"), async (args) => [...before, program, ...args]);
}

async function bubblewrap(bench: Workbench, program: string): Promise<CommandConfinement | Unavailable> {
  const path = findProgram("bwrap");
  if (path === undefined) return { name: "bubblewrap", reason: notInstalled("bubblewrap") };
  const view = ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
  const own = join(await bench.sharedMemory(), "own-bubblewrap");
  await mkdir(own, { recursive: true });
  const options = [
    "--unshare-all",
    "--die-with-parent",
    ...view,
    "--bind",
    own,
    "/own",
    "--ro-bind",
    program,
    "/workload",
  ];
  return byCommand("bubblewrap", "/own", async (args) => [path, ...options, "/workload", ...args]);
}

/** Its profile for what has none of its own: no capabilities, and a seccomp filter. */
async function firejail(bench: Workbench, program: string): Promise<CommandConfinement | Unavailable> {
  const path = findProgram("firejail");
  if (path === undefined) return { name: "firejail", reason: notInstalled("firejail") };
  return await direct(bench, program, {
    name: "firejail",
    before: [path, "--quiet", "--profile=default", "--net=none", "--"],
  });
}

async function runsc(bench: Workbench, program: string): Promise<CommandConfinement | Unavailable> {
  const root = await bench.makeDirectory("runsc-root");
  for (const name of ["usr", "own", "proc", "bin"]) await mkdir(join(root, name));
  await copyFile(program, join(root, "bin/workload"));
  const found = await runscCommand(bench, root);
  if ("reason" in found) return found;
  const command = (args: readonly string[]) => found.command(["/bin/workload", ...args]);
  return { ...byCommand(found.name, "/own", command), every: SLOW_EVERY };
}

function byCommand(name: string, ownDirectory: string, command: CommandConfinement["command"]): CommandConfinement {
  return {
    name,
    every: 1,
    ownDirectory,
    command,
    run: async (args, stdin = "") => runCommand(await command(args), stdin),
  };
}

/** Runs it once: what fails is told from what can be measured. */
async function tried(one: CommandConfinement | Unavailable): Promise<CommandConfinement | Unavailable> {
  if (!isUsable(one)) return one;
  try {
    await one.run(["compute", "1"]);
    return one;
  } catch (error) {
    return { name: one.name, reason: `fails here: ${(error as Error).message.replaceAll("\n", "; ")}` };
  }
}

/** @throws Error with what it wrote to standard error */
async function runCommand([program = "", ...args]: readonly string[], stdin: string): Promise<string> {
  const child = spawn(program, args, { cwd: "/", stdio: ["pipe", "pipe", "pipe"] });
  const output = Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
  child.stdin.on("error", () => {}); // What does not read its input is told by how it ends.
  child.stdin.end(stdin);
  const [code, signal] = await once(child, "close");
  const [stdout = "", stderr = ""] = (await output).map((pieces) => Buffer.concat(pieces).toString());
  if (code === 0) return stdout;
  throw new Error(`${program} ended with ${code ?? signal}: ${stderr.trim()}`);
}
