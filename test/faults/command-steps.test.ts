import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox, SpawnOptions } from "../../src/client/index.ts";
import { FaultyDaemon } from "../support/faulty-daemon.ts";
import { processesWith } from "../support/traces.ts";

const TERMINAL: SpawnOptions = { pty: { columns: 80, rows: 24 } };

/** Every step of native/agent that a command's start can fail at, and what has to be asked for so that it comes to it. */
const STEPS: Readonly<Record<string, SpawnOptions>> = {
  pipe: {},
  ptmx: TERMINAL,
  "unlock-terminal": TERMINAL,
  "open-terminal": TERMINAL,
  "resize-terminal": TERMINAL,
  "dup-terminal": TERMINAL,
  "epoll-add": {},
  "oom-score": {},
  clone: {},
  "oom-score-back": {},
  cgroup: {},
  session: {},
  terminal: TERMINAL,
  stdio: {},
  limits: {},
  user: { user: "1000" },
  cwd: { cwd: "/tmp" },
  execve: {},
};

let daemon: FaultyDaemon;

beforeAll(async () => {
  daemon = new FaultyDaemon();
  await daemon.start();
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

async function create(step?: string): Promise<Sandbox> {
  daemon.failing = step && `exec:${step}`;
  try {
    return await daemon.client.create({ layers: ["busybox"] });
  } finally {
    daemon.failing = undefined;
  }
}

const works = async (sandbox: Sandbox): Promise<void> =>
  expect((await sandbox.exec(["echo", "on"], { stdin: "" })).stdout).toBe("on\n");

/**
 * What an agent holds: nothing of a command that was never started may be among it. Cgroups of commands that are over are
 * kept for others; how many depends on how soon a process was gone.
 */
function heldBy({ id }: Sandbox) {
  const [agent] = processesWith(`--sandbox ${id}`);
  const directory = `/proc/${agent}/fd`;
  return {
    descriptors: readdirSync(directory).filter((fd) => !readlinkSync(`${directory}/${fd}`).includes("/exec-")).length,
    children: readFileSync(`/proc/${agent}/task/${agent}/children`, "utf8"),
    oomScore: readFileSync(`/proc/${agent}/oom_score_adj`, "utf8"),
  };
}

describe("the start of a command that fails", () => {
  it.each(Object.entries(STEPS))("at %s names the step, starts nothing and leaves nothing", async (step, options) => {
    await using sandbox = await create(step);
    await expect(sandbox.spawn(["sleep", "600"], options)).rejects.toMatchObject({ step, errno: "EIO" });
    expect(await sandbox.execs()).toEqual([]);
    expect((await sandbox.inspect()).state.kind).toBe("running");
    // Its fault was the only one, and nothing is out of order, nor held that another sandbox's agent does not hold.
    await works(sandbox);
    await using untouched = await create();
    await works(untouched);
    await expect
      .poll(() => [heldBy(sandbox), heldBy(untouched)])
      .toSatisfy(([one, other]) => isDeepStrictEqual(one, other));
  });
});

describe("faults", () => {
  it("cannot be asked for by an environment, nor from inside", async () => {
    const env = { PLYBOX_FAIL_AT: "clone", FAIL_AT: "exec:clone" };
    await using sandbox = await daemon.client.create({ layers: ["busybox"], env });
    const [agent] = processesWith(`--sandbox ${sandbox.id}`);
    expect(readFileSync(`/proc/${agent}/cmdline`, "latin1")).not.toContain("--fail-at");
    expect((await sandbox.exec(["true"])).exitCode).toBe(0);
  });
});
