import { EventEmitter, once } from "node:events";
import { PassThrough } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import { ProcessSandboxes } from "../../../test/support/process-sandboxes.ts";
import { newExecId } from "../../model/ids.ts";
import { inProcessCommand } from "./in-process-command.ts";
import { Interrupts } from "./interrupts.ts";
import { OutputSink } from "./output-sink.ts";
import { breakPipe, relay } from "./relay.ts";
import type { ExitReport, RelayedCommand } from "./relayed-command.ts";

/** A plain process of this machine; what is asked is what the relay does with it. */
async function start(script: string): Promise<RelayedCommand> {
  const sandboxes = new ProcessSandboxes(["000-base"]);
  const { id } = await sandboxes.create({});
  const session = await sandboxes.exec(id, { exec: newExecId(), command: script, stdin: true });
  return inProcessCommand(session, sandboxes, id);
}

interface Relayed {
  readonly report: Promise<ExitReport>;
  readonly interrupts: EventEmitter;
  readonly stdout: PassThrough;
}

/** Relays a command, and resolves when it has written its first output. */
async function relayed(script: string, stdin?: NodeJS.ReadableStream): Promise<Relayed> {
  const command = await start(script);
  const source = new EventEmitter();
  const stdout = new PassThrough({ highWaterMark: 16 });
  const sink = new OutputSink(stdout, () => {});
  const report = relay({
    command,
    sinks: { stdout: sink, stderr: sink },
    interrupts: new Interrupts(source, () => {}),
    onLost: () => {},
    ...(stdin !== undefined && { stdin }),
  });
  report.catch(() => {}); // Each test looks at it in its own time.
  await once(stdout, "readable");
  return { report, interrupts: source, stdout };
}

describe("relay", () => {
  it("passes the first interrupt on, and lets the command decide", async () => {
    const { report, interrupts, stdout } = await relayed(
      "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.01; done",
    );
    stdout.resume();
    interrupts.emit("SIGINT", "SIGINT");
    expect(await report).toMatchObject({ exitCode: 5 });
  });

  it.each(["SIGTERM", "SIGHUP", "SIGQUIT"] as const)("passes %s on", async (signal) => {
    const { report, interrupts, stdout } = await relayed("echo ready; exec sleep 60");
    stdout.resume();
    interrupts.emit(signal, signal);
    expect(await report).toMatchObject({ exitCode: null, signal });
  });

  it("kills a command that does not mind the first one, on the second", async () => {
    const { report, interrupts, stdout } = await relayed("trap '' INT; echo ready; while :; do sleep 0.01; done");
    stdout.resume();
    interrupts.emit("SIGINT", "SIGINT");
    interrupts.emit("SIGINT", "SIGINT");
    expect(await report).toMatchObject({ exitCode: null, signal: "SIGKILL" });
  });

  it("leaves a command that cannot be ended behind, on the third", async () => {
    const deaf: RelayedCommand = {
      [Symbol.asyncIterator]: () => ({ next: () => closed.then(() => ({ done: true, value: undefined })) }),
      write: async () => {},
      endInput: async () => {},
      signal: () => Promise.reject(new Error("unreachable")),
      close: () => stop(),
    };
    let stop = (): void => {};
    const closed = new Promise<void>((resolve) => {
      stop = resolve;
    });
    const source = new EventEmitter();
    const sink = { write: async () => {} };
    const interrupts = new Interrupts(source, () => {});
    const report = relay({ command: deaf, sinks: { stdout: sink, stderr: sink }, interrupts, onLost: () => {} });
    for (let count = 0; count < 3; count++) source.emit("SIGINT", "SIGINT");
    await expect(report).rejects.toMatchObject({ code: "aborted" });
    expect(interrupts.last).toBe("SIGINT");
  });

  it("passes input on as it comes, with its end", async () => {
    const stdin = new PassThrough();
    const { report, stdout } = await relayed("echo ready; cat; echo over", stdin);
    let text = "";
    stdout.on("data", (piece: Buffer) => {
      text += piece.toString();
    });
    stdin.write("one ");
    stdin.end("two ");
    expect(await report).toMatchObject({ exitCode: 0 });
    expect(text).toBe("ready\none two over\n");
  });

  it("ends with the command, though nobody ends the input", async () => {
    const stdin = new PassThrough();
    const { report, stdout } = await relayed("echo ready", stdin);
    stdout.resume();
    expect(await report).toMatchObject({ exitCode: 0 });
    expect(stdin.destroyed).toBe(true);
  });

  it("does not take output faster than it is read", async () => {
    const { report, stdout } = await relayed("head -c 20000000 /dev/zero");
    // Nothing is read yet: the stream holds one piece, and the command is not done with the rest.
    expect(stdout.readableLength).toBeLessThan(1024 ** 2);
    let bytes = 0;
    stdout.on("data", (piece: Buffer) => {
      bytes += piece.length;
    });
    expect(await report).toMatchObject({ exitCode: 0, stdoutBytes: 20_000_000 });
    expect(bytes).toBe(20_000_000);
  });
});

describe("breakPipe", () => {
  it("ends a command that writes to nobody as the kernel would", async () => {
    const command = await start("echo ready; exec sleep 60");
    using _breaking = breakPipe(command);
    expect(await exitOf(command)).toMatchObject({ signal: "SIGPIPE" });
  });

  it("kills one that ignores that", async () => {
    const command = await start("trap '' PIPE; echo ready; while :; do sleep 0.01; done");
    for await (const event of command) if (event.kind === "output") break;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      using _breaking = breakPipe(command);
      vi.advanceTimersByTime(1000);
      expect(await exitOf(command)).toMatchObject({ signal: "SIGKILL" });
    } finally {
      vi.useRealTimers();
    }
  });

  it("does nothing more once it is taken back", async () => {
    const command = await start("trap '' PIPE; echo ready; read line; exit 3");
    for await (const event of command) if (event.kind === "output") break;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      breakPipe(command)[Symbol.dispose]();
      vi.advanceTimersByTime(5000);
    } finally {
      vi.useRealTimers();
    }
    await command.endInput();
    expect(await exitOf(command)).toMatchObject({ exitCode: 3 });
  });
});

async function exitOf(command: RelayedCommand): Promise<ExitReport | undefined> {
  for await (const event of command) if (event.kind === "exit") return event.report;
  return undefined;
}
