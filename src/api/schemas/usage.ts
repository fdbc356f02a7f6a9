import * as z from "zod";

const bytes = z.int().min(0);

const stall = z.object({
  someMs: z.number().describe("Time in which some task stood still, since the sandbox started."),
  fullMs: z.number().describe("Time in which all did."),
  someAvg10: z.number().describe("Percent of the last ten seconds."),
  fullAvg10: z.number(),
});

/** Null where this kernel, or this kind of sandbox, does not tell. */
export const usageView = z.object({
  sandbox: z.string(),
  name: z.string().nullable(),
  at: z.iso.datetime(),
  cpuMs: z.number().nullable().describe("Processor time of all processes since the start, ended ones included."),
  cores: z.number().nullable().describe("Cores in use since the sample before, in a series."),
  memoryBytes: bytes.nullable().describe("What limits.memoryBytes bounds: processes, page cache, tmpfs upper."),
  memoryPeakBytes: bytes.nullable(),
  pids: z.int().nullable().describe("Processes and threads."),
  oomKills: z.int().nullable().describe("Processes killed because the memory limit was reached."),
  upperBytes: bytes.nullable().describe("What the writable layer holds."),
  upperMeasuredAt: z.iso
    .datetime()
    .nullable()
    .describe("When upperBytes was counted: at the sample's time, or before it for an upper on disk without a size."),
  network: z
    .object({ receivedBytes: bytes, sentBytes: bytes })
    .nullable()
    .describe("All interfaces but loopback; null where there is none."),
  pressure: z.object({ cpu: stall, memory: stall, io: stall }).nullable().describe("Cgroup version 2 alone."),
  limits: z.object({
    memoryBytes: bytes.nullable(),
    pids: z.int().nullable(),
    cpus: z.number().nullable(),
    upperBytes: bytes.nullable().describe("Size limit of the upper; null where it has none."),
  }),
});

export const usageList = z.object({ usage: z.array(usageView) });

export const usageQuery = z.strictObject({
  intervalMs: z.exactOptional(
    z.int().min(100).max(3_600_000).describe("Between two events of a stream; 1,000 by default."),
  ),
});

export const processList = z.object({
  processes: z.array(
    z.object({
      pid: z.int().describe("Inside the sandbox."),
      ppid: z.int(),
      uid: z.int(),
      user: z.string().describe("The uid's name inside, or its digits."),
      state: z.string().describe("As in /proc: R, S, D, T, Z, …"),
      cpuMs: z.number(),
      rssBytes: bytes,
      threads: z.int(),
      command: z.string().describe("The command line; the program's name in brackets where there is none."),
    }),
  ),
  total: z.int().describe("More than are listed where they do not fit into one answer."),
});
