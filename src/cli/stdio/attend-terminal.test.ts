import { EventEmitter, once } from "node:events";
import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import type { CliContext } from "../context.ts";
import { attendTerminal } from "./attend-terminal.ts";
import { Interrupts } from "./interrupts.ts";
import type { TerminalCommand } from "./terminal-command.ts";

/** A command on a terminal that takes keys from a moment on. */
class Typist implements TerminalCommand {
  readonly taken: string[] = [];
  readonly #closed = new AbortController();
  readonly #takes: Promise<unknown>;

  constructor(takes: Promise<unknown>) {
    this.#takes = takes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#takes;
    this.taken.push(Buffer.from(bytes).toString());
  }

  // biome-ignore lint/correctness/useYield: it shows nothing until it is left
  async *[Symbol.asyncIterator](): AsyncGenerator<never> {
    await once(this.#closed.signal, "abort");
  }

  async endInput(): Promise<void> {}
  async signal(): Promise<void> {}
  async resize(): Promise<void> {}
  close(): void {
    this.#closed.abort();
  }
}

/** Attends a command; keys are typed into `stdin`. */
function attended(command: TerminalCommand) {
  const stdin = new PassThrough();
  const source = new EventEmitter();
  const context: CliContext = {
    env: {},
    cwd: () => "/",
    now: () => new Date(),
    stdin,
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    interrupts: source,
    exitCode: 0,
  };
  const detachKeys = Buffer.from("\x10\x11");
  const end = attendTerminal(command, { context, interrupts: new Interrupts(source, () => {}), detachKeys });
  return { end, stdin };
}

describe("detach keys", () => {
  it("leave a command when it has taken the keys that were typed before them, and take none after", async () => {
    const reads = new EventEmitter();
    const command = new Typist(once(reads, "read"));
    const { end, stdin } = attended(command);
    stdin.write("make");
    stdin.write("\r\x10\x11");
    stdin.write("ls\r");
    setImmediate(() => reads.emit("read"));
    expect(await end).toEqual({ kind: "detached" });
    expect(command.taken).toEqual(["make", "\r"]);
  });

  it("leave a command that takes no keys", async () => {
    const { end, stdin } = attended(new Typist(new Promise(() => {})));
    stdin.write("make\r\x10\x11");
    expect(await end).toEqual({ kind: "detached" });
  });
});
