import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { newSandboxId } from "../../model/ids.ts";
import { killAgents } from "./lone-agents.ts";

let proc: string;
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), "plybox-agents-"));
});
afterEach(() => rmSync(proc, { recursive: true }));

/** A process that waits, and in the tree the command line that it is said to have. */
function started(words: readonly string[]) {
  const child = spawn("sleep", ["1000"]);
  mkdirSync(join(proc, String(child.pid)));
  writeFileSync(join(proc, String(child.pid), "cmdline"), words.map((word) => `${word}\0`).join(""));
  return { child, ended: once(child, "exit") as Promise<[number | null, string | null]> };
}

it("kills the agents of one sandbox, and nothing else", async () => {
  const [id, other] = [newSandboxId(), newSandboxId()];
  const agents = [1, 2].map((n) => started(["plyagent", "--sandbox", id, "--incarnation", String(n)]));
  const rest = [
    started(["plyagent", "--sandbox", other, "--incarnation", "1"]),
    started(["plyagent", "--sandbox", `${id}x`, "--incarnation", "1"]),
    started(["grep", "plyagent", "--sandbox", id]),
  ];
  mkdirSync(join(proc, "sys"));
  killAgents(id, proc);
  expect(await Promise.all(agents.map(({ ended }) => ended))).toEqual([
    [null, "SIGKILL"],
    [null, "SIGKILL"],
  ]);
  for (const { child } of rest) child.kill("SIGTERM");
  expect((await Promise.all(rest.map(({ ended }) => ended))).map(([, signal]) => signal)).toEqual(
    rest.map(() => "SIGTERM"),
  );
});

it("finds none where there is none, and does not mind those that have ended", () => {
  const id = newSandboxId();
  mkdirSync(join(proc, "4194305"));
  writeFileSync(join(proc, "4194305", "cmdline"), `plyagent\0--sandbox\0${id}\0`);
  expect(() => killAgents(id, proc)).not.toThrow();
  expect(() => killAgents(newSandboxId(), proc)).not.toThrow();
});
