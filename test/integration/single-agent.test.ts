import { once } from "node:events";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deferred } from "../../src/base/deferred.ts";
import type { PlyboxError } from "../../src/model/errors.ts";
import type { ExecutionProgress, ExecutionRequest, ExecutionResult, KeptOutput } from "../../src/model/execution.ts";
import type { ExecuteOptions } from "../../src/wire/execute.ts";
import { execute } from "../../src/wire/execute.ts";
import { SingleAgent } from "../support/single-agent.ts";

const MIB = 1024 ** 2;
const SOURCE_BYTES = 4096;

let agent: SingleAgent;
beforeAll(async () => {
  agent = await SingleAgent.start("--source-bytes", String(SOURCE_BYTES));
});
afterAll(async () => {
  expect(await agent.end()).toBe(0);
  expect(workDirectories(agent)).toEqual([]);
  await agent[Symbol.asyncDispose]();
});

const script = (source: string, rest: Partial<ExecutionRequest> = {}): ExecutionRequest => ({
  source,
  sourceName: "main.sh",
  run: ["sh", "main.sh"],
  ...rest,
});

const program = (source: string, rest: Partial<ExecutionRequest> = {}): ExecutionRequest => ({
  source,
  sourceName: "main.c",
  compile: ["gcc", "-o", "main", "main.c"],
  run: ["./main"],
  ...rest,
});

async function run(request: ExecutionRequest, options?: ExecuteOptions): Promise<ExecutionResult> {
  return await execute(await agent.connect(), request, options);
}

const textOf = ({ bytes }: KeptOutput): string => Buffer.from(bytes).toString();
const workDirectories = ({ work }: SingleAgent): string[] =>
  readdirSync(work).filter((name) => name.startsWith("plybox-single-"));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(1);
}

/** A program that runs until it is ended, and with it a process that has left its session; `pids` are both. */
function lingering(options: ExecuteOptions = {}) {
  const pids = deferred<number[]>();
  let text = "";
  const request = script("setsid sh -c 'echo $$; exec sleep 1000' & echo $$; wait", { wallMs: 600_000 });
  const onOutput: ExecuteOptions["onOutput"] = (piece) => {
    if (piece.kind === "output") text += Buffer.from(piece.bytes).toString();
    if (/^\d+\n\d+\n$/.test(text)) pids.resolve(text.trim().split("\n").map(Number));
  };
  return { request, options: { ...options, onOutput }, pids: pids.promise };
}

const lives = (pid: number): boolean => existsSync(`/proc/${pid}`);

describe("a verdict", () => {
  it("is success for a program that exits with 0", async () => {
    const result = await run(script("echo out; echo err >&2"));
    expect(result).toMatchObject({ result: "success", code: 0, signal: null, limit: null, compileMs: null });
    expect([textOf(result.stdout), textOf(result.stderr)]).toEqual(["out\n", "err\n"]);
    expect([result.stdoutBytes, result.stderrBytes]).toEqual([4, 4]);
    expect(result.wallMs).toBeGreaterThan(0);
    expect(result.peakBytes).toBeGreaterThan(0);
  });

  it("is runtime_error for any other code, and for a signal", async () => {
    expect(await run(script("exit 3"))).toMatchObject({ result: "runtime_error", code: 3, signal: null, limit: null });
    expect(await run(script("kill -SEGV $$"))).toMatchObject({
      result: "runtime_error",
      code: null,
      signal: "SIGSEGV",
    });
  });

  it("is timeout when the time has passed, whatever the program makes of signals", async () => {
    const wall = await run(script("trap '' TERM INT HUP; while :; do sleep 1000; done", { wallMs: 200 }));
    expect(wall).toMatchObject({ result: "timeout", limit: "wall" });
    expect(wall.wallMs).toBeGreaterThanOrEqual(200);
  });

  it("is timeout when all processes together have used the processor's time", async () => {
    const cpu = await run(script("while :; do :; done & while :; do :; done", { cpuMs: 200, wallMs: 600_000 }));
    expect(cpu).toMatchObject({ result: "timeout", limit: "cpu" });
    expect(cpu.cpuMs).toBeGreaterThan(200);
  });

  it("is memory_exceeded when memory is touched beyond the limit, with the evidence", async () => {
    const hog = `#include <stdlib.h>
#include <string.h>
int main() { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }
`;
    const result = await run(program(hog, { memoryBytes: 48 * MIB, wallMs: 600_000 }));
    expect(result).toMatchObject({ result: "memory_exceeded", limit: "memory", signal: "SIGKILL" });
    expect(result.memoryEvidence).toMatch(/^(resident|peak)$/);
    expect(result.peakBytes).toBeGreaterThanOrEqual(48 * MIB);
  });

  it("is output_exceeded when stdout and stderr together go beyond the limit, and what is within it is kept", async () => {
    const result = await run(script("echo first >&2; yes", { outputBytes: 10_000 }));
    expect(result).toMatchObject({ result: "output_exceeded", limit: "output", stdoutBytes: 10_000 - 6 });
    expect(textOf(result.stdout)).toBe("y\n".repeat(4997));
  });

  it("is compilation_error with the compiler's words where the source does not compile", async () => {
    const result = await run(program("int main() { return nothing; }\n"));
    expect(result).toMatchObject({ result: "compilation_error", code: 1, wallMs: 0, cpuMs: 0, stdoutBytes: 0 });
    expect(result.compileOutput).toMatch(/main\.c:1:\d+: error: .*nothing/);
    expect(result.compileMs).toBeGreaterThan(0);
  });

  it("is compilation_error where the compiler takes too long", async () => {
    const result = await run(script("true", { compile: ["sleep", "1000"], compileWallMs: 100 }));
    expect(result).toMatchObject({ result: "compilation_error", limit: "wall", signal: "SIGKILL" });
  });

  it("has the last words of a compiler that says too much, and how much came before", async () => {
    const result = await run(
      script("true", { compile: ["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; exit 1"] }),
    );
    expect(result).toMatchObject({ compileOutput: "x".repeat(65_536), compileOutputLost: 100_000 - 65_536 });
  });
});

it("a process goes with the execution also where its main thread has ended and others go on", async () => {
  const source = `#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
void *linger(void *unused) { sleep(1000); return unused; }
int main() {
  pthread_t thread;
  if (fork() > 0) { sleep(1000); return 0; }
  setsid();
  printf("%d\\n", getpid());
  fflush(stdout);
  pthread_create(&thread, NULL, linger, NULL);
  pthread_exit(NULL);
}
`;
  const compile = ["gcc", "-pthread", "-o", "main", "main.c"];
  let result = await run(program(source, { compile, wallMs: 300 }));
  // It had no time to say who it is.
  for (let wallMs = 600; result.stdoutBytes === 0; wallMs *= 2)
    result = await run(program(source, { compile, wallMs }));
  expect(result).toMatchObject({ result: "timeout", limit: "wall" });
  const pid = Number(textOf(result.stdout));
  expect(pid).toBeGreaterThan(1);
  expect(lives(pid)).toBe(false);
});

it("what was compiled is run", async () => {
  const echo = `#include <stdio.h>
int main(int argc, char **argv) { int c; puts(argv[1]); while ((c = getchar()) != EOF) putchar(c); return 7; }
`;
  const result = await run(program(echo, { run: ["./main", "an argument"], stdin: "some input" }));
  expect(result).toMatchObject({ result: "runtime_error", code: 7, compileOutput: "" });
  expect(textOf(result.stdout)).toBe("an argument\nsome input");
  expect(result.compileMs).toBeGreaterThan(0);
});

describe("stdin", () => {
  it.each([
    ["nothing", undefined, ""],
    ["text", "grüße\n", "grüße\n"],
    ["text with a NUL", "a\0b", "a\0b"],
    ["bytes", Buffer.from([0, 1, 10]), "\0\u0001\n"],
    ["more than fits into the request", "long ".repeat(400_000), "long ".repeat(400_000)],
  ])("may be %s", async (_what, stdin, output) => {
    const result = await run(script("cat", stdin === undefined ? {} : { stdin }));
    expect(result.result).toBe("success");
    expect(textOf(result.stdout) === output).toBe(true);
  });

  it("is asked for as the program reads, and let go of with the program", async () => {
    let given = 0;
    let released = false;
    async function* endless() {
      try {
        for (; ; given += 65_536) yield Buffer.alloc(65_536);
      } finally {
        released = true;
      }
    }
    let givenInTime = 0;
    const onProgress = () => {
      const [directory = ""] = workDirectories(agent);
      if (givenInTime > 0 || !existsSync(join(agent.work, directory, "read"))) return;
      givenInTime = given;
      writeFileSync(join(agent.work, directory, "go"), "");
    };
    const line = "head -c 1000000 | wc -c; : > read; until [ -e go ]; do sleep 0.01; done";
    const request = script(line, { stdin: endless(), wallMs: 600_000 });
    const result = await run(request, { onProgress });
    expect(textOf(result.stdout).trim()).toBe("1000000");
    // While it lives: what it took, and besides no more than the window, the pipe, and what reader and writer hold.
    expect(givenInTime).toBeGreaterThan(1_000_000 - 65_536);
    expect(givenInTime).toBeLessThan(2_000_000);
    await until(() => released);
  });

  it("that fails ends the execution with its error", async () => {
    async function* failing() {
      yield Buffer.from("x");
      throw new Error("no more");
    }
    await expect(run(script("cat; sleep 1000", { stdin: failing(), wallMs: 600_000 }))).rejects.toThrow("no more");
  });
});

describe("a request", () => {
  it("has a source of at most what the agent takes", async () => {
    const most = await run(script(`#${"x".repeat(SOURCE_BYTES - 1)}`));
    expect(most.result).toBe("success");
    const more = run(script(`#${"x".repeat(SOURCE_BYTES)}`));
    await expect(more).rejects.toMatchObject({ code: "input/invalid", field: "source" });
    const bytes = run({ ...script(""), source: Buffer.alloc(SOURCE_BYTES + 1) });
    await expect(bytes).rejects.toMatchObject({ code: "input/invalid", field: "source" });
  });

  it("has a source of any bytes", async () => {
    const source = Buffer.from([0, 1, 255]);
    const result = await run({ source, sourceName: "any", run: ["od", "-An", "-tx1", "any"] });
    expect(textOf(result.stdout)).toBe(" 00 01 ff\n");
  });

  it.each([
    [{ sourceName: "../main.sh" }, "sourceName"],
    [{ run: [] }, "run"],
    [{ wallMs: 0 }, "wallMs"],
    [{ env: { "": "x" } }, "env"],
    [{ ringBytes: 1 }, "ringBytes"],
  ])("with %j is refused", async (wrong, field) => {
    await expect(run(script("true", wrong))).rejects.toMatchObject({ code: "input/invalid", field });
  });

  it.each([
    ["no-such-program", "exec/program-not-found"],
    ["./main.sh", "exec/not-executable"],
  ])("to run %s is answered %s", async (name, code) => {
    await expect(run(script("true", { run: [name] }))).rejects.toMatchObject({ code });
  });

  it("gives its environment to the compiler and the program", async () => {
    const compile = ["sh", "-c", "echo $GREETING > made"];
    const result = await run(script("cat made; echo $GREETING $HOME; pwd", { compile, env: { GREETING: "hi" } }));
    const [made, told, directory] = textOf(result.stdout).split("\n");
    expect([made, told]).toEqual(["hi", `hi ${directory}`]);
  });
});

it("usage comes again and again while it compiles and runs, and grows", async () => {
  const samples: ExecutionProgress[] = [];
  // Each phase lasts until it was seen often enough.
  const busy = (phase: string) => `i=0; until [ -e ${phase}-seen ]; do i=$((i+1)); done`;
  const compile = ["sh", "-c", `echo compiling; ${busy("compile")}`];
  const onProgress = (sample: ExecutionProgress) => {
    samples.push(sample);
    if (samples.filter(({ phase }) => phase === sample.phase).length < 4) return;
    for (const name of workDirectories(agent)) writeFileSync(join(agent.work, name, `${sample.phase}-seen`), "");
  };
  await run(script(`echo running; ${busy("run")}`, { compile, compileWallMs: 600_000, wallMs: 600_000 }), {
    onProgress,
  });
  for (const phase of ["compile", "run"] as const) {
    const of = samples.filter((sample) => sample.phase === phase);
    expect(of.length, phase).toBeGreaterThanOrEqual(4);
    const [first, last] = [of[0], of.at(-1)] as [ExecutionProgress, ExecutionProgress];
    expect(of.map(({ wallMs }) => wallMs)).toEqual(of.map(({ wallMs }) => wallMs).sort((a, b) => a - b));
    // About every 100 ms: no more often, though a slow machine may take longer.
    expect(of.length).toBeLessThanOrEqual(last.wallMs / 95);
    expect(last.cpuMs).toBeGreaterThan(0);
    // Of a program that has just begun the kernel may know nothing yet.
    expect(last.residentBytes).toBeGreaterThan(0);
    expect(first.processes).toBeGreaterThan(0);
  }
  expect(samples.at(-1)?.stdoutBytes).toBe("running\n".length);
});

it("what a slow reader missed of the ring is named exactly", async () => {
  const socket = await agent.connect();
  socket.pause();
  const numbers = 300_000;
  const source = `seq ${numbers}; : > written; until [ -e go ]; do sleep 0.01; done`;
  const pending = execute(socket, script(source, { ringBytes: 4096, wallMs: 600_000 }));
  await until(() => workDirectories(agent).some((name) => existsSync(join(agent.work, name, "written"))));
  for (const name of workDirectories(agent)) writeFileSync(join(agent.work, name, "go"), "");
  socket.resume();
  const result = await pending;
  const written = Buffer.from(Array.from({ length: numbers }, (_, i) => `${i + 1}\n`).join(""));
  expect(result).toMatchObject({ result: "success", stdoutBytes: written.length });
  expect(result.stdout.lost.length).toBeGreaterThan(0);
  expect(result.stderr.lost).toEqual([]);
  // What is left when the named ranges are cut out is what arrived.
  const kept: Buffer[] = [];
  let at = 0;
  for (const { from, to } of result.stdout.lost) {
    expect(to).toBeGreaterThan(from);
    kept.push(written.subarray(at, from));
    at = to;
  }
  kept.push(written.subarray(at));
  expect(Buffer.concat(kept).equals(result.stdout.bytes)).toBe(true);
});

it("output is handed on as it comes where that is asked for", async () => {
  const pieces: unknown[] = [];
  const request = script("echo one; read answer; echo $answer >&2", { stdin: "two\n", outputBytes: 2 ** 40 });
  const result = await run(request, { onOutput: (piece) => pieces.push(piece) });
  expect(pieces).toMatchObject([
    { kind: "output", stream: "stdout", offset: 0 },
    { kind: "output", stream: "stderr", offset: 0 },
  ]);
  expect(result.stdout).toEqual({ bytes: Buffer.alloc(0), lost: [] });
  await expect(run(request)).rejects.toMatchObject({ code: "input/invalid", field: "outputBytes" });
});

describe("one agent", () => {
  it("executes one after the other, each in a fresh directory as nobody's heir", async () => {
    for (const turn of [1, 2, 3]) {
      const result = await run(script(`ls -A; echo ${turn} > left; (sleep 1000 >/dev/null 2>&1 &)`));
      expect(textOf(result.stdout)).toBe("main.sh\n");
    }
  });

  it("answers execution/busy while it executes, and goes on with what it does", async () => {
    const silent = await agent.connect();
    const stop = new AbortController();
    const { request, options, pids } = lingering({ signal: stop.signal });
    const first = run(request, options);
    const [pid = 0] = await pids;
    await expect(run(script("true"))).rejects.toMatchObject({ code: "execution/busy" });
    expect(lives(pid)).toBe(true);
    stop.abort(new Error("enough"));
    await expect(first).rejects.toThrow("enough");
    silent.destroy();
  });

  it("runs no more connections than it can hold, and serves those that it holds", async () => {
    const many = await Promise.all(Array.from({ length: 100 }, () => agent.connect()));
    await Promise.race(many.map((socket) => once(socket.resume(), "close")));
    for (const socket of many) socket.destroy();
    expect(await next()).toBe("success");
  });
});

/** The verdict of a next program, as soon as the agent has room for it again. */
async function next(): Promise<string> {
  for (;;) {
    try {
      return (await run(script("true"))).result;
    } catch (error) {
      expect((error as PlyboxError).code).toMatch(/^(execution\/busy|agent\/unreachable)$/);
    }
  }
}

describe("nothing is left of an execution", () => {
  it("whose signal is aborted, before or while it runs", async () => {
    const stop = new AbortController();
    const { request, options, pids } = lingering({ signal: stop.signal });
    const pending = run(request, options);
    const started = await pids;
    stop.abort(new Error("enough"));
    await expect(pending).rejects.toThrow("enough");
    await until(() => !started.some(lives));
    await expect(run(request, options)).rejects.toThrow("enough");
    expect(await next()).toBe("success");
  });

  it("whose client has gone", async () => {
    const socket = await agent.connect();
    const { request, options, pids } = lingering();
    const pending = execute(socket, request, options);
    const started = await pids;
    socket.destroy();
    await expect(pending).rejects.toMatchObject({ code: "agent/unreachable" });
    await until(() => !started.some(lives));
    expect(await next()).toBe("success");
  });

  it("whose caller throws at what it is told", async () => {
    const { request, options, pids } = lingering();
    let started: readonly number[] = [];
    void pids.then((them) => {
      started = them;
    });
    const onProgress = () => {
      if (started.length > 0) throw new Error("unheard of");
    };
    const pending = run(request, { ...options, onProgress });
    await expect(pending).rejects.toThrow("unheard of");
    await until(() => !started.some(lives));
    expect(await next()).toBe("success");
  });

  it("whose agent is told to end", async () => {
    await using other = await SingleAgent.start();
    const { request, options, pids } = lingering();
    const pending = execute(await other.connect(), request, options);
    const started = await pids;
    const failed = expect(pending).rejects.toMatchObject({ code: "agent/unreachable" });
    expect(await other.end()).toBe(0);
    await failed;
    expect(started.some(lives)).toBe(false);
    expect(workDirectories(other)).toEqual([]);
  });
});

describe("over stdio", () => {
  it("an agent serves one execution and ends", async () => {
    const { agent: other, stream } = await SingleAgent.overStdio();
    await using _ = other;
    const stdin = "over stdio ".repeat(50_000);
    const result = await execute(stream, script("cat; exit 4", { stdin }));
    expect(result).toMatchObject({ result: "runtime_error", code: 4, stdoutBytes: stdin.length });
    expect(textOf(result.stdout) === stdin).toBe(true);
    expect(await other.exited()).toBe(0);
    expect(workDirectories(other)).toEqual([]);
  });

  it("a client that has gone ends the program and the agent", async () => {
    const { agent: other, stream } = await SingleAgent.overStdio();
    await using _ = other;
    const { request, options, pids } = lingering();
    const pending = execute(stream, request, options);
    const started = await pids;
    stream.destroy();
    await expect(pending).rejects.toMatchObject({ code: "agent/unreachable" });
    expect(await other.exited()).toBe(0);
    expect(started.some(lives)).toBe(false);
    expect(workDirectories(other)).toEqual([]);
  });
});
