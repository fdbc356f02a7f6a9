import type { Command } from "commander";
import { Option } from "commander";
import type { CreateOptions } from "../client/index.ts";
import { PlyboxError } from "../model/errors.ts";
import type { OnExpire } from "../model/sandbox.ts";
import type { StartCommandSpec } from "../model/start-command.ts";
import { parsed, repeated } from "./options.ts";
import { parseDuration } from "./values/duration.ts";
import { parseLabel } from "./values/label.ts";
import { parsePort, parsePortAndPath } from "./values/port.ts";
import { parseRestart } from "./values/restart.ts";

/** How long a sandbox lives, what runs in it from its start on, and when it is ready. */
export interface LifecycleOptions {
  readonly label?: readonly (readonly [key: string, value: string])[];
  readonly lifetime?: number;
  readonly idleTimeout?: number;
  readonly idleCountsCommands?: true;
  readonly onExpire?: OnExpire;
  readonly resumeOnDemand?: true;
  /** False for `--no-start`. */
  readonly start?: string | false;
  readonly restart?: Pick<StartCommandSpec, "restart" | "maxRestarts">;
  readonly whenDone?: "keep" | "stop";
  readonly readyExec?: string;
  readonly readyHttp?: { readonly port: number; readonly path?: string };
  readonly readyTcp?: number;
  readonly readyInterval?: number;
  readonly readyTimeout?: number;
  /** False for `--no-wait`. */
  readonly wait: boolean;
}

export function lifecycleOptions(command: Command): Command {
  return command
    .addOption(repeated("--label <key=value>", "a label to find it by", parseLabel))
    .addOption(parsed("--lifetime <time>", "how long it may live, such as 2h", parseDuration))
    .addOption(parsed("--idle-timeout <time>", "how long nothing may be done in it, such as 10m", parseDuration))
    .option("--idle-counts-commands", "a command that runs keeps it from being idle, also when nobody follows it")
    .addOption(
      new Option("--on-expire <what>", "what its end in time is (default: destroy)").choices(["destroy", "stop"]),
    )
    .option("--resume-on-demand", "when it is paused, whatever is asked of it resumes it")
    .option("--start <line>", "a line for /bin/sh that runs from each start on (default: what its image runs)")
    .option("--no-start", "run nothing, also where an image has something to run")
    .addOption(
      parsed(
        "--restart <policy>",
        "of --start: never (default), on-failure, on-failure:N, always or always:N",
        parseRestart,
      ),
    )
    .addOption(
      new Option("--when-done <what>", "what the end of --start means for the sandbox (default: keep)").choices([
        "keep",
        "stop",
      ]),
    )
    .option("--ready-exec <line>", "ready when this line for /bin/sh exits 0")
    .addOption(parsed("--ready-http <port/path>", "ready when a GET on this port inside succeeds", parsePortAndPath))
    .addOption(parsed("--ready-tcp <port>", "ready when this port inside takes a connection", parsePort))
    .addOption(parsed("--ready-interval <time>", "between two looks (default: 200ms)", parseDuration))
    .addOption(parsed("--ready-timeout <time>", "give up after so long (default: never)", parseDuration))
    .option("--no-wait", "do not wait until it is ready");
}

type LifecycleSpec = Pick<
  CreateOptions,
  | "labels"
  | "lifetimeMs"
  | "idleMs"
  | "idleCountsCommands"
  | "onExpire"
  | "resumeOnDemand"
  | "start"
  | "readyProbe"
  | "wait"
>;

/** What the options ask for; what they do not say is left to its defaults. */
export function lifecycleSpecOf(options: LifecycleOptions): LifecycleSpec {
  const { label, lifetime, idleTimeout, onExpire } = options;
  const start = startOf(options);
  const readyProbe = probeOf(options);
  return {
    ...(label !== undefined && { labels: Object.fromEntries(label) }),
    ...(lifetime !== undefined && { lifetimeMs: lifetime }),
    ...(idleTimeout !== undefined && { idleMs: idleTimeout }),
    ...(options.idleCountsCommands && { idleCountsCommands: true }),
    ...(onExpire !== undefined && { onExpire }),
    ...(options.resumeOnDemand && { resumeOnDemand: true }),
    ...(start !== undefined && { start }),
    ...(readyProbe !== undefined && { readyProbe }),
    ...(!options.wait && { wait: false }),
  };
}

function startOf({ start, restart, whenDone }: LifecycleOptions): LifecycleSpec["start"] {
  if (start) return { command: start, ...restart, ...(whenDone !== undefined && { whenDone }) };
  if (restart !== undefined) throw needs("--restart", "--start");
  if (whenDone !== undefined) throw needs("--when-done", "--start");
  return start === false ? null : undefined;
}

function probeOf(options: LifecycleOptions): LifecycleSpec["readyProbe"] {
  const { readyExec, readyHttp, readyTcp, readyInterval, readyTimeout } = options;
  const times = {
    ...(readyInterval !== undefined && { intervalMs: readyInterval }),
    ...(readyTimeout !== undefined && { timeoutMs: readyTimeout }),
  };
  const probes = [
    ...(readyExec === undefined ? [] : [{ kind: "exec", command: readyExec, ...times } as const]),
    ...(readyHttp === undefined ? [] : [{ kind: "http", ...readyHttp, ...times } as const]),
    ...(readyTcp === undefined ? [] : [{ kind: "tcp", port: readyTcp, ...times } as const]),
  ];
  if (probes.length > 1)
    throw new PlyboxError("input/invalid", "give one of --ready-exec, --ready-http and --ready-tcp");
  if (probes.length === 0 && readyInterval !== undefined) throw needs("--ready-interval", "--ready-exec, for instance");
  if (probes.length === 0 && readyTimeout !== undefined) throw needs("--ready-timeout", "--ready-exec, for instance");
  return probes[0];
}

const needs = (option: string, other: string): PlyboxError =>
  new PlyboxError("input/invalid", `goes with ${other}`, { field: option });
