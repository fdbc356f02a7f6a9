import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Sandbox, SandboxView } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import { BuiltCli } from "../support/built-cli.ts";
import { end, isRunning, killLauncher, serve } from "../support/daemon-process.ts";
import { NOTHING, remainsOf } from "../support/remains.ts";
import { cgroupsWith, loopsGone, processesWith } from "../support/traces.ts";

const HOOK = new URL("../support/stop-at-state.mjs", import.meta.url).href;

let cli: BuiltCli;
let daemon: ChildProcess;
let client: Plybox;

beforeAll(async () => {
  cli = await BuiltCli.make();
});
beforeEach(async () => {
  daemon = await restart();
});
afterAll(async () => {
  client.close();
  await end(daemon, "SIGTERM");
  const remains = everything();
  await loopsGone(cli.directory);
  cli[Symbol.dispose]();
  expect(remains).toEqual(NOTHING);
});

const trigger = (): string => join(cli.directory, "stop-at");
const everything = () =>
  remainsOf({ config: { runDir: join(cli.directory, "run"), stateDir: join(cli.directory, "state") } });

async function restart(): Promise<ChildProcess> {
  if (isRunning(daemon)) return daemon;
  client?.close();
  const env = { NODE_OPTIONS: `--import ${HOOK}`, PLYBOX_TEST_STOP_AT: trigger() };
  const child = await serve(cli, { env });
  client = new Plybox({ socketPath: join(cli.directory, "run/plybox.sock") });
  return child;
}

const stateOfProcess = (pid: number): string | undefined =>
  /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];

function killAgent(id: string): void {
  for (const pid of processesWith(`--sandbox ${id}`)) process.kill(pid, "SIGKILL");
}

type Kind = SandboxView["state"]["kind"];

interface Case {
  /** Brings a sandbox to where the state is entered next. */
  readonly before: (sandbox: Sandbox) => Promise<unknown>;
  /** Enters it. */
  readonly enter: (sandbox: Sandbox) => Promise<unknown>;
  /** What the next daemon finds, where this one was killed; undefined: nothing. */
  readonly found: object | undefined;
  /** Whether there is an agent that could be killed. */
  readonly hasAgent: boolean;
}

const nothing = async (): Promise<void> => {};
const blocked = ({ id }: Sandbox): string => join(cli.directory, "run/s", `${id}.sock`);

const CASES: Readonly<Record<Exclude<Kind, "lost">, Case>> = {
  creating: { before: nothing, enter: () => create("fresh"), found: undefined, hasAgent: false },
  running: {
    ...{ before: (sandbox) => sandbox.pause(), enter: (sandbox) => sandbox.resume(), hasAgent: true },
    found: { kind: "running" },
  },
  paused: { before: nothing, enter: (sandbox) => sandbox.pause(), found: { kind: "paused" }, hasAgent: true },
  stopping: {
    ...{ before: nothing, enter: (sandbox) => sandbox.stop(), hasAgent: true },
    found: { kind: "stopped", reason: { type: "asked" } },
  },
  stopped: {
    ...{ before: nothing, enter: (sandbox) => sandbox.stop(), hasAgent: false },
    found: { kind: "stopped", reason: { type: "asked" } },
  },
  starting: {
    ...{ before: (sandbox) => sandbox.stop(), enter: (sandbox) => sandbox.start(), hasAgent: false },
    found: { kind: "stopped", reason: { type: "interrupted", during: "start" } },
  },
  failed: {
    before: async (sandbox) => {
      await sandbox.stop();
      // A launch fails where its socket cannot be made.
      mkdirSync(blocked(sandbox));
    },
    ...{ enter: (sandbox) => sandbox.start(), hasAgent: false },
    found: { kind: "failed", reason: { type: "launch-failed", step: "socket" } },
  },
  destroyed: { before: nothing, enter: (sandbox) => sandbox.remove(), found: undefined, hasAgent: true },
};

const UPPERS = { tmpfs: { kind: "tmpfs" }, "sized disk": { kind: "disk", bytes: 16 * 1024 ** 2 } } as const;

let upper: keyof typeof UPPERS = "tmpfs";
const create = (name: string): Promise<Sandbox> => client.create({ name, layers: ["busybox"], upper: UPPERS[upper] });

/** A sandbox whose daemon has stopped right behind the write of a state, and what it was doing. */
async function stopAt(kind: Kind, { before, enter }: Case): Promise<{ sandbox: Sandbox; doing: Promise<unknown> }> {
  const sandbox = await create("subject");
  await sandbox.exec("echo kept > /file; (sleep 600; true) &");
  await before(sandbox);
  writeFileSync(trigger(), kind);
  const doing = enter(sandbox).catch(() => {});
  const { pid } = daemon;
  await expect.poll(() => stateOfProcess(pid as number)).toBe("T");
  return { sandbox, doing };
}

async function find(name: string): Promise<Sandbox | undefined> {
  return (await client.list()).find((each) => each.name === name);
}

/** Whatever has become of it: it can be brought to work on what it wrote, or is gone; and then nothing of it is left. */
async function makeGood(kind: Kind, sandbox: Sandbox): Promise<void> {
  if (kind === "failed") rmSync(blocked(sandbox), { recursive: true, force: true });
  const settled: readonly Kind[] = ["running", "paused", "stopped", "failed"];
  const isSettled = async () => settled.includes((await find("subject"))?.view.state.kind ?? "stopped");
  await expect.poll(isSettled).toBe(true);
  const found = await find("subject");
  if (found !== undefined) {
    if (found.view.state.kind === "paused") await found.resume().catch(() => {});
    // What was killed while it was frozen ends when it goes on.
    await expect
      .poll(async () => {
        await found.start();
        return (await found.exec(["cat", "/file"])).stdout;
      })
      .toBe("kept\n");
    await found.remove();
  }
  await (await find("fresh"))?.remove();
  expect(processesWith(`--sandbox ${sandbox.id}`)).toEqual([]);
  expect(cgroupsWith(sandbox.id)).toEqual([]);
  await expect.poll(everything).toEqual(NOTHING);
}

const cases = Object.entries(CASES) as [Kind, Case][];

describe.each(cases)("killed when %s has been written", (kind, each) => {
  it.each([
    ["the daemon", "tmpfs"],
    ["the daemon and its launcher", "tmpfs"],
    ["the daemon and its launcher", "sized disk"],
  ] as const)("%s, on a %s upper: the next daemon knows what to do", async (victims, on) => {
    upper = on;
    const { sandbox, doing } = await stopAt(kind, each);
    if (victims !== "the daemon") killLauncher(daemon);
    await end(daemon, "SIGKILL");
    await doing;
    daemon = await restart();
    const name = kind === "creating" ? "fresh" : "subject";
    const found = await find(name);
    if (each.found === undefined) expect(found).toBeUndefined();
    else expect(found?.view.state).toMatchObject(each.found);
    await makeGood(kind, sandbox);
  });

  it.each(["tmpfs", "sized disk"] as const)(
    "the launcher, on a %s upper: the daemon goes on with the next one",
    async (on) => {
      upper = on;
      const { sandbox, doing } = await stopAt(kind, each);
      killLauncher(daemon);
      daemon.kill("SIGCONT");
      await doing;
      await makeGood(kind, sandbox);
    },
  );

  // In the other states there is none.
  if (!each.hasAgent) return;
  it("the agent: the daemon notes it", async () => {
    const { sandbox, doing } = await stopAt(kind, each);
    killAgent(sandbox.id);
    daemon.kill("SIGCONT");
    await doing;
    await makeGood(kind, sandbox);
  });
});
