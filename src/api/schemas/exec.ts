import * as z from "zod";
import { EXEC_LIMITS } from "../../model/exec.ts";
import { EXEC_ID } from "../../model/ids.ts";
import { LIMIT_BOUNDS } from "../../model/sandbox.ts";
import { optional } from "./optional.ts";
import { sandboxParams } from "./sandbox.ts";
import { absolutePath, argumentList, environment, shellLine, user } from "./text.ts";

const SIGNALS = [
  "SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM",
  "SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO",
  "SIGPWR SIGSYS",
]
  .join(" ")
  .split(" ");

const execId = z.string().regex(EXEC_ID, "must be ex_ and 26 characters");
const stream = z.enum(["stdout", "stderr"]);
const offset = z.int().min(0);

export const execParams = sandboxParams.extend({ exec: execId.describe("The command's id.") });

const stdin = z.union(
  [
    z.literal("stream"),
    z.strictObject({ text: z.string() }),
    z.strictObject({ base64: z.base64("must be base64 with padding") }),
  ],
  { error: 'must be "stream", {"text": …} or {"base64": …}' },
);

/** The kernel's counters are 16 bits wide. */
const characters = z.int().min(1).max(65_535);

export const terminalSize = z.strictObject({
  columns: characters.describe("Characters in a line."),
  rows: characters.describe("Lines."),
});

export const execBody = z
  .strictObject({
    command: optional(
      z
        .union([shellLine, argumentList], { error: "must be a line for /bin/sh, or a program with its arguments" })
        .describe(
          "A line for /bin/sh -c, or a program with its arguments, looked up in the command's own PATH. The user's shell where it is left out, with `pty`.",
        ),
    ),
    cwd: optional(absolutePath.describe("Working directory; the sandbox's by default, or the user's home.")),
    env: optional(environment.describe("Added to the sandbox's environment.")),
    user: optional(user.describe("name, uid, name:group or uid:gid; the sandbox's by default, or root.")),
    stdin: optional(
      stdin.describe('What the command reads; "stream" takes it from the stdin route. /dev/null by default.'),
    ),
    merge: optional(z.boolean().describe("Write stderr to stdout's stream, in order.")),
    pty: optional(
      terminalSize.describe(
        "Run it on a terminal of this size, whose output is stdout and whose input is the stdin route.",
      ),
    ),
    timeLimitMs: optional(
      z
        .int()
        .min(1)
        .max(2 ** 31)
        .describe("Wall time after which the command is ended."),
    ),
    cpuTimeLimitMs: optional(
      z
        .int()
        .min(1)
        .max(2 ** 31)
        .describe("Processor time of all that the command starts, after which it is ended."),
    ),
    processLimit: optional(
      z.int().min(1).max(4_194_304).describe("Processes and threads at once; what is more is not started."),
    ),
    memoryLimitBytes: optional(
      z
        .int()
        .min(LIMIT_BOUNDS.commandMemoryBytes.min)
        .max(LIMIT_BOUNDS.commandMemoryBytes.max)
        .describe("Memory of all that the command starts, beyond which the kernel kills the largest process of it."),
    ),
    outputLimitBytes: optional(
      z
        .int()
        .min(1)
        .max(Number.MAX_SAFE_INTEGER)
        .describe("Bytes of stdout and stderr together after which the command is ended."),
    ),
    ringBytes: optional(
      z
        .int()
        .min(4096)
        .max(64 * 1024 ** 2)
        .describe("What is kept of each stream for a later reader; 1 MiB by default."),
    ),
    detach: optional(z.boolean().describe("Answer 202 as soon as the command runs.")),
    encoding: optional(z.enum(["utf8", "base64"]).describe("How the collected answer writes stdout and stderr.")),
    exec: optional(execId.describe("The id to run it under, so that a repeated request is refused.")),
  })
  .refine(({ command, pty }) => command !== undefined || pty !== undefined, {
    path: ["command"],
    error: "is required without a terminal",
  });

export const limitsMet = z
  .object({
    memoryKills: z.exactOptional(z.int().describe("Processes that the kernel killed for want of memory.")),
    refusedForks: z.exactOptional(z.int().describe("Forks that the kernel refused.")),
    upperFull: z.exactOptional(
      z.enum(["bytes", "inodes"]).describe("Of what the writable layer had nothing left when the command ended."),
    ),
  })
  .describe("Limits that were met while it ran, whatever it made of that.");

const report = {
  exec: z.string(),
  exitCode: z.int().nullable().describe("Null when a signal ended it."),
  signal: z.string().nullable().describe("Such as SIGKILL; null when it exited."),
  limit: z.enum(EXEC_LIMITS).nullable().describe("The limit that ended it, or that it failed at."),
  limitsMet: z.exactOptional(limitsMet),
  wallMs: z.number(),
  userMs: z.number(),
  systemMs: z.number(),
  peakRssBytes: z.number(),
  memoryPeakBytes: z.exactOptional(
    z.int().describe("The most memory that all of it held at once; of a command with a memory limit alone."),
  ),
  stdoutBytes: z.int().describe("Bytes that the command wrote, kept or not."),
  stderrBytes: z.int(),
};

export const execResult = z.object({
  ...report,
  stdout: z.string().describe("In the request's encoding."),
  stderr: z.string(),
  truncated: z.exactOptional(
    z
      .object({ stdout: z.int(), stderr: z.int() })
      .describe("Bytes of each stream that this answer does not hold; absent when it holds all."),
  ),
  notUtf8: z.exactOptional(
    z.array(stream).describe("Streams whose bytes are not UTF-8: what is not is U+FFFD here. Ask for base64 instead."),
  ),
});

export const execStarted = z.object({ exec: z.string(), pid: z.int().describe("The pid inside the sandbox.") });

const counted = z.int().nullable();
const measured = z.number().nullable();

export const execView = z.object({
  exec: z.string(),
  pid: counted.describe("The pid inside the sandbox; null until it runs."),
  running: z.boolean(),
  seen: z.boolean().describe("False where what ran it is gone and nobody saw how it ended."),
  kept: z.boolean().describe("Whether its output can still be read."),
  command: z.union([z.string(), z.array(z.string())]).describe("Cut short where it is over 4,096 characters."),
  by: z.string().describe("The name of the key that asked, or local."),
  cwd: z.string().nullable().describe("As it was asked for."),
  user: z.string().nullable().describe("As it was asked for."),
  pty: z.boolean(),
  detached: z.boolean(),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
  exitCode: counted,
  signal: z.string().nullable(),
  limit: z.string().nullable().describe("The limit that ended it, or that it failed at."),
  limitsMet: limitsMet.nullable(),
  wallMs: measured.describe("So far, while it runs."),
  userMs: measured,
  systemMs: measured,
  peakRssBytes: counted,
  memoryPeakBytes: counted.describe("Null without a memory limit."),
  stdoutBytes: counted.describe("Bytes that it wrote, kept or not."),
  stderrBytes: counted,
});

export const execList = z.object({
  execs: z.array(execView).describe("Newest first."),
  next: z.string().nullable().describe("What to give as `after` for those before these; null where there are none."),
});

export const execListQuery = z.strictObject({
  since: z.exactOptional(
    z.iso.datetime({ offset: true }).describe("Only those that were started at this time or later."),
  ),
  running: z.exactOptional(z.boolean().describe("Only those that run, or only those that have ended.")),
  limit: z.exactOptional(z.enum(EXEC_LIMITS).describe("Only those that this limit ended.")),
  after: z.exactOptional(execId.describe("Only those that were started before this one.")),
  count: z.exactOptional(z.int().min(1).max(1000).describe("How many; 100 by default.")),
});

export const execQuery = z.strictObject({
  wait: z.exactOptional(z.literal("end").describe("Answer only when it has ended.")),
  waitMs: z.exactOptional(
    z
      .int()
      .min(0)
      .max(2 ** 31 - 1)
      .describe("With `wait`: answer after this long at the latest, as it is then."),
  ),
});

export const outputQuery = z
  .strictObject({
    stdout: z.exactOptional(offset.describe("First byte of stdout to send; 0 by default.")),
    stderr: z.exactOptional(offset.describe("First byte of stderr to send; 0 by default.")),
    follow: z.exactOptional(
      z.boolean().describe("Whether to go on until the command ends, as by default, or up to where it stands now."),
    ),
    shared: z.exactOptional(
      z.boolean().describe("Follow beside others, in nobody's place; what a slow reader misses is told."),
    ),
    stream: z.exactOptional(stream.describe("Answer the bytes of this stream instead of events, beside others.")),
    from: z.exactOptional(offset.describe("First byte to send of `stream`, or else of stdout; 0 by default.")),
  })
  .refine(({ shared, follow, stream: bytes }) => shared !== false || (follow !== false && bytes === undefined), {
    path: ["shared"],
    error: "can only be false for the events of one who follows",
  })
  .refine(({ from, stdout }) => from === undefined || stdout === undefined, {
    path: ["from"],
    error: "is the same as stdout where no stream is chosen",
  })
  .refine(({ stdout, stderr, stream: bytes }) => bytes === undefined || (stdout ?? stderr) === undefined, {
    path: ["stream"],
    error: "goes with from instead of stdout and stderr",
  });

export const stdinQuery = z.strictObject({
  end: z.exactOptional(z.boolean().describe("Close the command's stdin after this body.")),
});

export const signalBody = z.strictObject({
  signal: z.enum(SIGNALS),
  scope: z.exactOptional(
    z.enum(["process", "group", "all"]).describe("The program, its process group (default), or all that it started."),
  ),
});

export const outputEvent = z.object({
  stream,
  offset: offset.describe("Bytes of the stream before these."),
  base64: z.string(),
});
export const endEvent = z.object({ stream, offset: offset.describe("Where the stream ends.") });
export const lostEvent = z.object({ stream, from: offset, to: offset }).describe("Bytes [from, to) are gone.");
export const reachedEvent = z
  .object({ stdout: offset, stderr: offset })
  .describe("All that had been written up to these offsets has come; the command runs on.");
export const exitEvent = z.object(report);
