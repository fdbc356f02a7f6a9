import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import type { ExecutionRequest, ExecutionResult } from "../../src/model/execution.ts";
import { execute } from "../../src/wire/execute.ts";
import { AARCH64_AGENT, SingleAgent } from "../support/single-agent.ts";

/** What counts as a hang of the compilation, of which `npm test` has left nothing to do. */
const COMPILE_HANG_MS = 900_000;

beforeAll(() => {
  execFileSync("make", ["--silent", "-j2", "-C", join(import.meta.dirname, "../../native"), "aarch64"], {
    stdio: "inherit",
  });
}, COMPILE_HANG_MS);

/** Of the agent that was built for aarch64, each time anew: over stdio it serves one execution. */
async function run(request: ExecutionRequest): Promise<ExecutionResult> {
  const { agent, stream } = await SingleAgent.overStdio(AARCH64_AGENT);
  await using _ended = agent;
  const result = await execute(stream, { wallMs: 600_000, ...request });
  expect(await agent.exited()).toBe(0);
  return result;
}

const script = (source: string, rest: Partial<ExecutionRequest> = {}): ExecutionRequest => ({
  source,
  sourceName: "main.sh",
  run: ["sh", "main.sh"],
  ...rest,
});

it("the agent for aarch64 compiles and runs a program for aarch64", async () => {
  const source = `#include <stdio.h>
#include <sys/utsname.h>
int main() { struct utsname name; int number; uname(&name); scanf("%d", &number); printf("%s %d\\n", name.machine, number + 1); }
`;
  const result = await run({
    source,
    sourceName: "main.c",
    compile: ["aarch64-linux-gnu-gcc", "-static", "-o", "main", "main.c"],
    run: ["qemu-aarch64-static", "./main"],
    stdin: "41\n",
  });
  expect(result).toMatchObject({ result: "success", code: 0, compileOutput: "" });
  expect(Buffer.from(result.stdout.bytes).toString()).toBe("aarch64 42\n");
  expect(result.compileMs).toBeGreaterThan(0);
});

it.each<[verdict: string, ExecutionRequest, Partial<ExecutionResult>]>([
  ["runtime_error by code", script("exit 3"), { result: "runtime_error", code: 3, limit: null }],
  ["runtime_error by signal", script("kill -SEGV $$"), { result: "runtime_error", signal: "SIGSEGV" }],
  [
    "timeout",
    script("setsid sleep 100000 & sleep 100000", { wallMs: 200 }),
    { result: "timeout", limit: "wall", signal: "SIGKILL" },
  ],
  [
    "output_exceeded",
    script("yes", { outputBytes: 10_000 }),
    { result: "output_exceeded", limit: "output", stdoutBytes: 10_000 },
  ],
])("it gives the verdict %s", async (_verdict, request, expected) => {
  expect(await run(request)).toMatchObject(expected);
});
