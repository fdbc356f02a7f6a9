import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import type { Readable } from "node:stream";
import { findProgram } from "../../layers/programs.ts";
import { PlyboxError } from "../../model/errors.ts";
import { nativeProgram } from "../../native/programs.ts";
import type { Config } from "../config.ts";
import { anchorFile } from "./anchor.ts";
import { restrictionsOf } from "./restrictions.ts";
import { allotted, nameOf } from "./subordinate-ids.ts";

/** Where `plylaunch` tells why it could not enter. */
const REPORT_FD = 3;

interface OwnNamespaceOptions {
  readonly uid: number;
  /** A file that names the namespaces, for those that are to outlive the program; new ones otherwise. */
  readonly anchor?: string;
}

/** The command line that makes what follows it root of a user namespace. docs/decisions/0009 has the ids. */
async function ownNamespaceCommand({ uid, anchor }: OwnNamespaceOptions): Promise<readonly [string, ...string[]]> {
  return [
    nativeProgram("plylaunch"),
    "--own-namespace",
    ...(await mapOptions(uid)),
    ...(anchor === undefined ? [] : ["--anchor", anchor]),
    ...["--report-fd", String(REPORT_FD)],
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
  const [program, ...options] = await ownNamespaceCommand({
    uid: process.getuid?.() ?? 0,
    ...(lasting && { anchor: anchorFile(config.runDir) }),
  });
  const child = spawn(program, [...options, process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    env: { ...env, PLYBOX_STATE_DIR: config.stateDir, PLYBOX_RUN_DIR: config.runDir },
  });
  const report = child.stdio[REPORT_FD] as Readable;
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const problem = report.toArray().then((pieces) =>
    Buffer.concat(pieces as Buffer[])
      .toString()
      .trim(),
  );
  return {
    kill: (signal) => void child.kill(signal),
    ended: Promise.all([ended, problem]).then(([how, text]) => {
      if (text !== "") throw noNamespace(text);
      return how;
    }),
  };
}

function noNamespace(report: string): PlyboxError {
  const [step = "", errno = ""] = report.split(" ");
  const [restriction] = restrictionsOf("/proc");
  const why =
    restriction === undefined ? "plybox doctor looks for the cause" : `${restriction.cause}; ${restriction.remedy}`;
  return new PlyboxError("host/missing", `no user namespace can be had (${step}: ${errno}): ${why}`, { step, errno });
}
