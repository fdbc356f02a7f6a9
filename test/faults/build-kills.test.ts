import type { ChildProcess } from "node:child_process";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Plybox } from "../../src/client/index.ts";
import { cgroupParentOf } from "../../src/daemon/runtime.ts";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { BuiltCli } from "../support/built-cli.ts";
import { end, serve } from "../support/daemon-process.ts";
import { cgroupsWith, mountsWith, processesWith } from "../support/traces.ts";

const HOOK = new URL("../support/kill-at-change.mjs", import.meta.url).href;
/** Each change would take minutes: from one run to the next so many are passed over. */
const STRIDE = 41;

let cli: BuiltCli;
let daemon: ChildProcess | undefined;

beforeEach(async () => {
  cli = await BuiltCli.make();
  mkdirSync(join(cli.directory, "context"));
});
afterEach(async () => {
  if (daemon !== undefined) await end(daemon, "SIGTERM");
  daemon = undefined;
  cli[Symbol.dispose]();
});

const state = (...names: readonly string[]): string => join(cli.directory, "state", ...names);
const filesIn = (directory: string): readonly string[] => (existsSync(directory) ? readdirSync(directory) : []);
const dockerfile = (...lines: readonly string[]): void =>
  writeFileSync(join(cli.directory, "context", "Dockerfile"), lines.join("\n"));

/** What a build has besides layers: on the disk, of mounts, cgroups and processes. */
const left = (mark: string): object => ({
  builds: filesIn(state("builds")),
  staged: filesIn(state("layers")).filter((name) => name.startsWith(".")),
  // A place that was being given back is taken away by the daemon.
  runs: filesIn(join(cli.directory, "run", "run")).filter((name) => /^\d+$/.test(name)),
  mounts: mountsWith(join(cli.directory, "run", "run")),
  cgroups: cgroupsWith(`${cgroupParentOf(join(cli.directory, "run"))}-run`),
  processes: processesWith(mark),
});
const NOTHING = { builds: [], staged: [], runs: [], mounts: [], cgroups: [], processes: [] };

it("a build that is killed leaves nothing half made, wherever it was", async () => {
  const mark = "sleep 0.0314";
  dockerfile(
    "FROM busybox AS one",
    `RUN ${mark}; echo one > /one`,
    "FROM busybox",
    "COPY --from=one /one /two",
    "USER user",
  );
  const build = [
    "layer",
    "build",
    "100-app",
    "--dockerfile",
    "context/Dockerfile",
    "--no-cache",
    "--replace",
    "--json",
  ];
  const store = new LayerStore({
    ...{ storeDirectory: state("layers"), mountDirectory: join(cli.directory, "mounts"), log: console },
    mounter: { mountImage: async () => {}, unmount: async () => {} },
  });
  const outcomes = new Set<string>();
  for (let killAt = 3; !outcomes.has("done"); killAt += STRIDE) {
    const env = { PLYBOX_TEST_KILL_AT: String(killAt), NODE_OPTIONS: `--import ${HOOK}`, SQUASH_COMP: "lz4" };
    const { exitCode, stderr } = await cli.run(build, { env });
    expect([killAt, exitCode, stderr]).toEqual([killAt, exitCode === null ? null : 0, ""]);
    outcomes.add(exitCode === null ? "killed" : "done");
    // Whatever has a name is whole, with nobody having cleared away anything.
    for (const { name } of await store.list()) await store.verify(name);
  }
  expect(outcomes).toEqual(new Set(["killed", "done"]));
  // The last one has cleared away what the others left.
  await expect.poll(() => left(mark)).toEqual(NOTHING);
  const { stdout } = await cli.run(["run", "--layer", "app", "--", "cat", "/two"]);
  expect(stdout.toString()).toBe("one\n");
});

it("what runs for a build ends with the daemon, whose successor clears away the rest", async () => {
  const mark = "sleep 98765.4321";
  dockerfile("FROM busybox", `RUN echo begun; ${mark}`);
  daemon = await serve(cli);
  const client = new Plybox({ socketPath: join(cli.directory, "run", "plybox.sock") });
  const context = execFileSync("tar", ["-C", join(cli.directory, "context"), "-c", "."]);
  const begun = new Promise<void>((resolve) => {
    const onProgress = ({ detail }: { readonly detail?: string }): void => void (detail === "begun" && resolve());
    client.layers.buildDockerfile("100-app", context, { onProgress }).catch(() => {});
  });
  await begun;
  expect(processesWith(mark).length).toBeGreaterThan(0);
  const killed = once(daemon, "close");
  daemon.kill("SIGKILL");
  await killed;
  await expect.poll(() => processesWith(mark)).toEqual([]);
  daemon = await serve(cli);
  await expect.poll(() => left(mark)).toEqual(NOTHING);
  expect((await client.list()).length).toBe(0);
  client.close();
});
