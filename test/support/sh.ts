import { expect } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";

/** Runs a line that must succeed and say nothing on stderr; what it wrote, trimmed. */
export async function sh(sandbox: Sandbox, line: string): Promise<string> {
  const { exitCode, stdout, stderr } = await sandbox.exec(line);
  expect([exitCode, stderr]).toEqual([0, ""]);
  return stdout.trim();
}
