import { spawn } from "node:child_process";
import { once } from "node:events";
import { PlyboxError } from "../model/errors.ts";
import { nativeProgram } from "../native/programs.ts";
import type { CallRules } from "./rules.ts";
import { toText } from "./rules.ts";

/**
 * The BPF program of the rules, as seccomp(2) takes it: 8 bytes an instruction, of this machine's own byte order.
 * @throws PlyboxError `input/invalid` with what libseccomp does not take, `host/missing` when the compiler is not built
 */
export async function compileFilter(rules: CallRules): Promise<Buffer> {
  const compiler = spawn(nativeProgram("plyfilter"), [], { stdio: ["pipe", "pipe", "pipe"] });
  const output: Buffer[] = [];
  const complaint: Buffer[] = [];
  compiler.stdout.on("data", (bytes: Buffer) => output.push(bytes));
  compiler.stderr.on("data", (bytes: Buffer) => complaint.push(bytes));
  // It may end before it has read everything; what it says then counts.
  compiler.stdin.on("error", () => {});
  compiler.stdin.end(toText(rules));
  const [code] = (await once(compiler, "close")) as [number | null];
  if (code === 0) return Buffer.concat(output);
  const reason = Buffer.concat(complaint).toString().trim() || `the compiler ended with ${code}`;
  throw new PlyboxError("input/invalid", `the seccomp profile cannot be compiled: ${reason}`, { field: "seccomp" });
}
