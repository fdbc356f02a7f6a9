import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ExecutionRequest, ExecutionResult } from "../../src/model/execution.ts";
import type { ExecuteOptions } from "../../src/wire/execute.ts";
import { execute } from "../../src/wire/execute.ts";
import { SingleAgent } from "../support/single-agent.ts";

let agent: SingleAgent;
beforeAll(async () => {
  agent = await SingleAgent.start();
});
afterAll(async () => {
  expect(await agent.end()).toBe(0);
  expect(readdirSync(agent.work).filter((name) => name.startsWith("plybox-single-"))).toEqual([]);
  await agent[Symbol.asyncDispose]();
});

const script = (source: string, rest: Partial<ExecutionRequest> = {}): ExecutionRequest => ({
  source,
  sourceName: "main.sh",
  run: ["sh", "main.sh"],
  ...rest,
});

async function run(request: ExecutionRequest, options?: ExecuteOptions): Promise<ExecutionResult> {
  return await execute(await agent.connect(), request, options);
}

const textOf = ({ bytes }: ExecutionResult["stdout"]): string => Buffer.from(bytes).toString();

it("a program that ends with 0 is a success", async () => {
  const result = await run(script("echo out; echo err >&2"));
  expect(result).toMatchObject({ result: "success", code: 0, signal: null, limit: null, compileMs: null });
  expect([textOf(result.stdout), textOf(result.stderr)]).toEqual(["out\n", "err\n"]);
});
