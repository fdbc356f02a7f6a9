import type { Command } from "commander";
import type { CliContext } from "./context.ts";

interface CommandEntry {
  readonly summary: string;
  /** Loads what adds the command to the program. Only the command that was asked for is loaded. */
  readonly load: () => Promise<(program: Command, context: CliContext) => void>;
}

/** Every command, in the order of the help. */
export const COMMANDS = {
  run: {
    summary: "run one command in a sandbox of its own; needs no daemon",
    load: async () => (await import("./commands/run.ts")).defineRun,
  },
  create: {
    summary: "create a sandbox",
    load: async () => (await import("./commands/create.ts")).defineCreate,
  },
  ls: {
    summary: "list sandboxes",
    load: async () => (await import("./commands/ls.ts")).defineLs,
  },
  info: {
    summary: "show a sandbox and the commands in it",
    load: async () => (await import("./commands/info.ts")).defineInfo,
  },
  exec: {
    summary: "run a command in a sandbox",
    load: async () => (await import("./commands/exec.ts")).defineExec,
  },
  ps: {
    summary: "list the commands of a sandbox, and how they ended",
    load: async () => (await import("./commands/ps.ts")).definePs,
  },
  logs: {
    summary: "show what a command in a sandbox wrote",
    load: async () => (await import("./commands/logs.ts")).defineLogs,
  },
  kill: {
    summary: "send a signal to commands in a sandbox",
    load: async () => (await import("./commands/kill.ts")).defineKill,
  },
  pause: {
    summary: "freeze sandboxes",
    load: async () => (await import("./commands/change-state.ts")).definePause,
  },
  resume: {
    summary: "let paused sandboxes go on",
    load: async () => (await import("./commands/change-state.ts")).defineResume,
  },
  stop: {
    summary: "end the processes of sandboxes and keep what they wrote",
    load: async () => (await import("./commands/change-state.ts")).defineStop,
  },
  start: {
    summary: "start stopped sandboxes again",
    load: async () => (await import("./commands/change-state.ts")).defineStart,
  },
  restart: {
    summary: "stop sandboxes and start them again",
    load: async () => (await import("./commands/change-state.ts")).defineRestart,
  },
  extend: {
    summary: "give a sandbox more time",
    load: async () => (await import("./commands/extend.ts")).defineExtend,
  },
  label: {
    summary: "set labels of a sandbox, or take them away",
    load: async () => (await import("./commands/label.ts")).defineLabel,
  },
  update: {
    summary: "change a sandbox's name and times",
    load: async () => (await import("./commands/update.ts")).defineUpdate,
  },
  shell: {
    summary: "open a shell in a sandbox on this terminal",
    load: async () => (await import("./commands/shell.ts")).defineShell,
  },
  attach: {
    summary: "listen again to a command in a sandbox",
    load: async () => (await import("./commands/attach.ts")).defineAttach,
  },
  ports: {
    summary: "show what listens in a sandbox, or wait for it",
    load: async () => (await import("./commands/ports.ts")).definePorts,
  },
  forward: {
    summary: "reach ports of a sandbox on ports of this machine",
    load: async () => (await import("./commands/forward.ts")).defineForward,
  },
  "port-url": {
    summary: "make an address that opens a port for a time",
    load: async () => (await import("./commands/port-url.ts")).definePortUrl,
  },
  "port-token": {
    summary: "make, list and revoke tokens that open one port",
    load: async () => (await import("./commands/port-token.ts")).definePortToken,
  },
  cp: {
    summary: "copy files and directories into a sandbox, or out of it",
    load: async () => (await import("./commands/cp.ts")).defineCp,
  },
  fs: {
    summary: "list, print, search, watch and change files of a sandbox",
    load: async () => (await import("./commands/fs.ts")).defineFs,
  },
  rm: {
    summary: "remove sandboxes with everything in them",
    load: async () => (await import("./commands/rm.ts")).defineRm,
  },
  checkpoint: {
    summary: "keep what a sandbox has written by now",
    load: async () => (await import("./commands/checkpoint.ts")).defineCheckpoint,
  },
  checkpoints: {
    summary: "list checkpoints, or remove some",
    load: async () => (await import("./commands/checkpoints.ts")).defineCheckpoints,
  },
  timeline: {
    summary: "show what a sandbox can go back to",
    load: async () => (await import("./commands/checkpoint.ts")).defineTimeline,
  },
  diff: {
    summary: "show what differs between two points of a sandbox",
    load: async () => (await import("./commands/diff.ts")).defineDiff,
  },
  fork: {
    summary: "make sandboxes that begin with what one holds",
    load: async () => (await import("./commands/fork.ts")).defineFork,
  },
  restore: {
    summary: "put a sandbox back to a checkpoint",
    load: async () => (await import("./commands/restore.ts")).defineRestore,
  },
  undo: {
    summary: "put a sandbox back to the checkpoint before",
    load: async () => (await import("./commands/restore.ts")).defineUndo,
  },
  merge: {
    summary: "bring into a sandbox what another, such as a fork of it, has changed",
    load: async () => (await import("./commands/merge.ts")).defineMerge,
  },
  bisect: {
    summary: "find the checkpoint at which a test begins to fail",
    load: async () => (await import("./commands/bisect.ts")).defineBisect,
  },
  layer: {
    summary: "build, list, inspect, remove, export and import layers, or change those of a sandbox",
    load: async () => (await import("./commands/layer.ts")).defineLayer,
  },
  sign: {
    summary: "sign layers with a key, for other machines to check",
    load: async () => (await import("./commands/sign.ts")).defineSign,
  },
  push: {
    summary: "send layers to the object storage",
    load: async () => (await import("./commands/remote.ts")).definePush,
  },
  pull: {
    summary: "fetch layers from the object storage",
    load: async () => (await import("./commands/remote.ts")).definePull,
  },
  sync: {
    summary: "send layers that the object storage lacks, and fetch those that this machine lacks",
    load: async () => (await import("./commands/remote.ts")).defineSync,
  },
  df: {
    summary: "show what layers take on the disk",
    load: async () => (await import("./commands/storage.ts")).defineDf,
  },
  gc: {
    summary: "remove what killed processes left, and layers that nobody stands on",
    load: async () => (await import("./commands/storage.ts")).defineGc,
  },
  key: {
    summary: "make, list and revoke API keys",
    load: async () => (await import("./commands/key.ts")).defineKey,
  },
  tenant: {
    summary: "set and show the quotas of tenants",
    load: async () => (await import("./commands/tenant.ts")).defineTenant,
  },
  audit: {
    summary: "show who changed what",
    load: async () => (await import("./commands/audit.ts")).defineAudit,
  },
  stats: {
    summary: "show what sandboxes take from the machine",
    load: async () => (await import("./commands/stats.ts")).defineStats,
  },
  top: {
    summary: "watch sandboxes, or the processes of one, by processor time",
    load: async () => (await import("./commands/top.ts")).defineTop,
  },
  events: {
    summary: "show what has happened to sandboxes, or follow it",
    load: async () => (await import("./commands/events.ts")).defineEvents,
  },
  webhook: {
    summary: "send events to other programs",
    load: async () => (await import("./commands/webhook.ts")).defineWebhook,
  },
  serve: {
    summary: "run the daemon",
    load: async () => (await import("./commands/serve.ts")).defineServe,
  },
  doctor: {
    summary: "check what this machine can do, and how to mend what it cannot",
    load: async () => (await import("./commands/doctor.ts")).defineDoctor,
  },
  version: {
    summary: "show versions",
    load: async () => (await import("./commands/version.ts")).defineVersion,
  },
} as const satisfies Record<string, CommandEntry>;
