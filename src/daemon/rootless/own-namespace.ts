import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import type { Readable } from "node:stream";
import { findProgram } from "../../layers/programs.ts";
import { PlyboxError } from "../../model/errors.ts";
import { nativeProgram } from "../../native/programs.ts";
import type { Config } from "../config.ts";
import { anchorFile } from "./anchor.ts";
import { idsFromZero } from "./realm.ts";
import type { Restriction } from "./restrictions.ts";
import { restrictionsOf } from "./restrictions.ts";
import { allotted, nameOf } from "./subordinate-ids.ts";

/** Where `plylaunch` tells why it could not enter. */
const REPORT_FD = 3;

interface OwnNamespaceOptions {
  /** A file that names the namespaces, for those that are to outlive the program; new ones otherwise. */
  readonly anchor?: string;
  /** Whether the program has the descriptor on which a failure is reported. */
  readonly reports?: boolean;
}

/** The command line that makes what follows it root of a user namespace. docs/decisions/0009 has the ids. */
export async function ownNamespaceCommand({
  anchor,
  reports = false,
}: OwnNamespaceOptions = {}): Promise<readonly [string, ...string[]]> {
  return [
    nativeProgram("plylaunch"),
    "--own-namespace",
    ...(await mapOptions(process.getuid?.() ?? 0)),
    ...(anchor === undefined ? [] : ["--anchor", anchor]),
    ...(reports ? ["--report-fd", String(REPORT_FD)] : []),
    "--",
  ];
}

/** Without the two programs, or without ids of the user's, the user is the only one there is. */
async function mapOptions(uid: number): Promise<readonly string[]> {
  const user = { uid, name: nameOf("/etc/passwd", uid) };
  const [uids, gids] = [allotted("/etc/subuid", user), allotted("/etc/subgid", user)];
  const [newuidmap, newgidmap] = await Promise.all([findProgram("newuidmap"), findProgram("newgidmap")]);
  if (uids === undefined || gids === undefined || newuidmap === undefined || newgidmap === undefined) return [];
  return [
    ...["--subuids", `${uids.first}:${uids.count}`, "--newuidmap", newuidmap],
    ...["--subgids", `${gids.first}:${gids.count}`, "--newgidmap", newgidmap],
  ];
}

/**
 * Makes a namespace, for nothing but to see that it can be had, and says how many ids it has.
 * @throws PlyboxError `host/missing`
 */
export async function tryOwnNamespace(): Promise<number> {
  const [program, ...options] = await ownNamespaceCommand({ reports: true });
  const child = spawn(program, [...options, "cat", "/proc/self/uid_map", "/proc/self/gid_map"], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const [report, output, complaint] = await Promise.all(
    [child.stdio[REPORT_FD] as Readable, child.stdout as Readable, child.stderr as Readable].map(textOf),
  );
  if (report) throw noNamespace(report, complaint);
  // Each map begins with the user, and has one more line where the user has more ids.
  const lines = (output ?? "").split("\n");
  const half = lines.length / 2;
  return Math.min(...[lines.slice(0, half), lines.slice(half)].map((map) => idsFromZero(map.join("\n"))));
}

/** How a program ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface OwnNamespaceRun {
  /** Sends the program a signal. */
  kill(signal: NodeJS.Signals): void;
  /** Rejects with `host/missing`, naming cause and mend, when there is no namespace to be had. */
  readonly ended: Promise<Ended>;
}

/**
 * Runs this process's program anew as root of a namespace, on the same standard streams. Its directories are those of
 * `config`, since it takes itself for root.
 * @param lasting whether the namespaces stay while there may be sandboxes, for a daemon that comes back
 */
export async function runInOwnNamespace(
  config: Config,
  env: NodeJS.ProcessEnv,
  lasting: boolean,
): Promise<OwnNamespaceRun> {
  mkdirSync(config.runDir, { recursive: true, mode: 0o700 });
  const anchor = lasting ? { anchor: anchorFile(config.runDir) } : {};
  const [program, ...options] = await ownNamespaceCommand({ ...anchor, reports: true });
  const child = spawn(program, [...options, process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    env: { ...env, PLYBOX_STATE_DIR: config.stateDir, PLYBOX_RUN_DIR: config.runDir },
  });
  const report = child.stdio[REPORT_FD] as Readable;
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const problem = textOf(report);
  return {
    kill: (signal) => void child.kill(signal),
    ended: Promise.all([ended, problem]).then(([how, text]) => {
      if (text !== "") throw noNamespace(text);
      return how;
    }),
  };
}

async function textOf(stream: Readable): Promise<string> {
  return Buffer.concat((await stream.toArray()) as Buffer[])
    .toString()
    .trim();
}

/** `report` is a line `STEP ERRNO`; `complaint` is what a program has said that was to help. */
function noNamespace(report: string, complaint = ""): PlyboxError {
  const [step = "", errno = ""] = report.split(" ");
  const [restriction] = restrictionsOf("/proc");
  const known = restriction === undefined ? "plybox doctor looks for the cause" : describe(restriction);
  const why = complaint === "" ? known : `${complaint}; ${known}`;
  return new PlyboxError("host/missing", `no user namespace can be had (${step}: ${errno}): ${why}`, { step, errno });
}

const describe = ({ cause, remedy }: Restriction): string => `${cause}; ${remedy}`;
