#!/usr/bin/env node
import { inspect } from "node:util";
import type { CliContext, Output } from "./context.ts";
import { failureOf } from "./fail.ts";
import { runProgram } from "./program.ts";

/** A reader that goes away (`plybox ls | head -1`) is no failure of ours. */
const opened = new Set<Output>();
function open(stream: Output): Output {
  if (!opened.has(stream)) stream.on("error", () => {});
  opened.add(stream);
  return stream;
}

const context: CliContext = {
  env: process.env,
  cwd: () => process.cwd(),
  now: () => new Date(),
  get stdin() {
    return process.stdin;
  },
  get stdout() {
    return open(process.stdout);
  },
  get stderr() {
    return open(process.stderr);
  },
  interrupts: process,
  exitCode: 0,
};

const flush = (stream: Output): Promise<void> => new Promise((resolve) => void stream.write("", () => resolve()));

try {
  await runProgram(process.argv.slice(2), context);
} catch (error) {
  const { line, exitCode } = failureOf(error);
  if (line !== "") context.stderr.write(`${line}\n`);
  if (process.env.PLYBOX_DEBUG) context.stderr.write(`${inspect(error)}\n`);
  context.exitCode = exitCode;
}
await Promise.all([...opened].map(flush));
// Not left to the event loop: a terminal that is read, or an idle connection, would keep it.
process.exit(context.exitCode);
