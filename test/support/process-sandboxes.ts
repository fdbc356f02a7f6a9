import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { PlyboxError } from "../../src/model/errors.ts";
import type {
  ExecEvent,
  ExecFeed,
  ExecReport,
  ExecRequest,
  ExecSession,
  ExecSummary,
  OutputOffsets,
  OutputReading,
  OutputStream,
  ReadOptions,
  SignalScope,
} from "../../src/model/exec.ts";
import type { ExecId, SandboxName } from "../../src/model/ids.ts";
import { newSandboxId } from "../../src/model/ids.ts";
import type { Sandbox, SandboxSpec } from "../../src/model/sandbox.ts";
import { DEFAULT_LIMITS } from "../../src/model/sandbox.ts";
import type { Sandboxes } from "../../src/sandbox/sandboxes.ts";
import { sendSignal } from "./send-signal.ts";

const STREAMS = ["stdout", "stderr"] as const;
const RING_BYTES = 1024 ** 2;
const ROOM_BYTES = 256 * 1024;

/**
 * Sandboxes without isolation: each command is a plain process of this machine. The contract tests use it where they
 * ask what the API does with what a service says, such as a limit that ends a command or output that is lost.
 */
export class ProcessSandboxes implements Sandboxes {
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #commands = new Map<ExecId, Command>();
  readonly #layers: ReadonlySet<string>;

  constructor(layers: readonly string[]) {
    this.#layers = new Set(layers);
  }

  async create(spec: SandboxSpec): Promise<Sandbox> {
    const missing = spec.layers?.find((layer) => !this.#layers.has(layer));
    if (missing !== undefined) throw new PlyboxError("layer/not-found", `no layer ${missing}`, { field: "layers" });
    if (spec.name !== undefined && this.#find(spec.name) !== undefined) {
      throw new PlyboxError("sandbox/name-taken", `the name ${spec.name} is taken`, { field: "name" });
    }
    const sandbox = sandboxOf(spec, [...this.#layers]);
    this.#sandboxes.set(sandbox.id, sandbox);
    return sandbox;
  }

  list(): readonly Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  get(ref: string): Sandbox {
    const sandbox = this.#find(ref);
    if (sandbox === undefined) throw new PlyboxError("sandbox/not-found", `no sandbox ${ref}`, { field: "ref" });
    return sandbox;
  }

  async remove(ref: string): Promise<void> {
    const { id } = this.get(ref);
    this.#sandboxes.delete(id);
    for (const command of this.#of(id)) {
      command.signal("SIGKILL");
      await command.ended;
      this.#commands.delete(command.exec);
    }
  }

  async exec(ref: string, request: ExecRequest): Promise<ExecSession> {
    const { id, env } = this.get(ref);
    if (this.#commands.has(request.exec)) throw new PlyboxError("exec/exists", "it runs already", { field: "exec" });
    const command = await Command.start(id, { ...request, env: { ...env, ...request.env } });
    this.#commands.set(request.exec, command);
    return command.attach({ stdout: 0, stderr: 0 });
  }

  async execs(ref: string): Promise<readonly ExecSummary[]> {
    return [...this.#of(this.get(ref).id)].map((command) => command.summary());
  }

  async attach(ref: string, exec: ExecId, from: OutputOffsets): Promise<ExecSession> {
    return this.#command(ref, exec).attach(from);
  }

  async read(ref: string, exec: ExecId, { from, follow }: ReadOptions): Promise<OutputReading> {
    return this.#command(ref, exec).read(from, follow);
  }

  async wait(ref: string, exec: ExecId): Promise<ExecReport> {
    const command = this.#command(ref, exec);
    await command.ended;
    if (command.report === undefined) throw new Error("what has ended has a report");
    return command.report;
  }

  async input(ref: string, exec: ExecId): Promise<ExecFeed> {
    return this.#command(ref, exec).feed();
  }

  async forget(ref: string, exec: ExecId): Promise<void> {
    if (this.#command(ref, exec).report === undefined) throw new PlyboxError("exec/refused", "it has not finished");
    this.#commands.delete(exec);
  }

  async resize(): Promise<void> {
    throw new PlyboxError("exec/refused", "the command has no terminal");
  }

  async signal(ref: string, exec: ExecId, signal: string, _scope: SignalScope): Promise<void> {
    this.#command(ref, exec).signal(signal as NodeJS.Signals);
  }

  #find(ref: string): Sandbox | undefined {
    return this.#sandboxes.get(ref) ?? this.list().find((each) => each.name === ref);
  }

  *#of(id: string): Iterable<Command> {
    for (const command of this.#commands.values()) if (command.sandbox === id) yield command;
  }

  #command(ref: string, exec: ExecId): Command {
    const command = this.#commands.get(exec);
    if (command?.sandbox === this.get(ref).id) return command;
    throw new PlyboxError("exec/not-found", `no command ${exec}`, { field: "exec" });
  }
}

function sandboxOf(spec: SandboxSpec, layers: readonly string[]): Sandbox {
  const id = newSandboxId();
  return {
    id,
    tenant: "default",
    name: spec.name ?? null,
    incarnation: 1,
    state: { kind: "running", pid: process.pid, startTime: 1 },
    layers: spec.layers ?? layers.slice(0, 1),
    grafting: null,
    saved: null,
    lineage: null,
    upper: spec.upper ?? { kind: "tmpfs", bytes: 1024 ** 3 },
    limits: { ...DEFAULT_LIMITS, memoryBytes: 512 * 1024 ** 2, cpus: 1, ...spec.limits },
    unheld: [],
    env: spec.env ?? {},
    ...{ cwd: null, user: null, warnings: [] },
    hostname: spec.hostname ?? spec.name ?? (id.slice(-12) as SandboxName),
    binds: [],
    idBase: 1_879_048_192,
    seccomp: "default",
    allowPrivilegeEscalation: false,
    createdAt: new Date(),
    labels: spec.labels ?? {},
    lifetimeMs: spec.lifetimeMs ?? null,
    expiresAt: null,
    idleMs: spec.idleMs ?? null,
    idleCountsCommands: false,
    onExpire: "destroy",
    resumeOnDemand: false,
    start: null,
    readyProbe: null,
    ready: null,
  };
}

/** What a stream still holds, and where that begins. */
interface Ring {
  bytes: Buffer;
  end: number;
  closed: boolean;
}

class Command {
  readonly sandbox: string;
  readonly exec: ExecId;
  readonly pid: number;
  readonly ended: Promise<void>;
  readonly rings: Record<OutputStream, Ring>;
  report: ExecReport | undefined;
  readonly #child: ChildProcess;
  readonly #ringBytes: number;
  readonly #startedAt = performance.now();
  #limit: ExecReport["limit"] = null;
  #reader: Session | undefined;
  readonly #beside = new Set<Session>();

  /** @throws PlyboxError as an agent that cannot start the program */
  static async start(sandbox: string, request: ExecRequest): Promise<Command> {
    const [program = "", ...args] =
      typeof request.command === "string" ? ["/bin/sh", "-c", request.command] : request.command;
    const child = spawn(program, args, {
      cwd: request.cwd ?? "/",
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", ...request.env },
      detached: true,
      stdio: [request.stdin === true ? "pipe" : "ignore", "pipe", "pipe"],
    });
    try {
      await once(child, "spawn");
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new PlyboxError(code === "EACCES" ? "exec/not-executable" : "exec/program-not-found", `no ${program}`, {
        cause,
        step: "execve",
        ...(code !== undefined && { errno: code }),
      });
    }
    return new Command(sandbox, child, request);
  }

  private constructor(sandbox: string, child: ChildProcess, request: ExecRequest) {
    this.sandbox = sandbox;
    this.exec = request.exec;
    this.pid = child.pid ?? 0;
    this.#child = child;
    this.#ringBytes = request.ringBytes ?? RING_BYTES;
    this.rings = {
      stdout: { bytes: Buffer.alloc(0), end: 0, closed: false },
      stderr: { bytes: Buffer.alloc(0), end: 0, closed: false },
    };
    child.stdin?.on("error", () => {}); // A command need not read its input.
    for (const stream of STREAMS) {
      const into = request.merge === true ? "stdout" : stream;
      child[stream]?.on("data", (chunk: Buffer) => this.#take(into, chunk, request.outputBytes));
    }
    this.ended = this.#watch(request);
  }

  attach(from: OutputOffsets): ExecSession {
    this.#reader?.replace();
    this.#reader = new Session(this, this.#child, from);
    this.flow();
    return this.#reader;
  }

  read(from: OutputOffsets, follow: boolean): OutputReading {
    const session = new Session(this, this.#child, from);
    this.#beside.add(session);
    const { exec, pid, report } = this;
    const kept = (stream: OutputStream) => {
      const { bytes, end } = this.rings[stream];
      return { from: Math.max(from[stream], end - bytes.length), to: end };
    };
    return {
      ...{ exec, pid, stdout: kept("stdout"), stderr: kept("stderr"), report: report ?? null },
      close: () => session.close(),
      [Symbol.asyncIterator]: () => (follow ? session[Symbol.asyncIterator]() : session.now()),
    };
  }

  feed(): ExecFeed {
    const { stdin } = this.#child;
    if (stdin === null) throw new PlyboxError("exec/refused", "the command has no open stdin");
    return {
      offset: 0,
      write: async (bytes) => {
        if (this.report === undefined && !stdin.write(bytes)) await Promise.race([once(stdin, "drain"), this.ended]);
      },
      end: async () => void stdin.end(),
      close() {},
    };
  }

  detach(session: Session): void {
    if (this.#reader === session) this.#reader = undefined;
    this.#beside.delete(session);
    this.flow();
  }

  signal(signal: NodeJS.Signals): void {
    if (this.report === undefined) sendSignal(-this.pid, signal);
  }

  summary(): ExecSummary {
    const { exec, pid, rings } = this;
    return {
      exec,
      pid,
      running: this.report === undefined,
      stdoutBytes: rings.stdout.end,
      stderrBytes: rings.stderr.end,
      wallMs: this.report?.wallMs ?? performance.now() - this.#startedAt,
      report: this.report ?? null,
    };
  }

  /** Stops reading from the command while its reader is behind. */
  flow(): void {
    for (const stream of STREAMS) {
      const behind = this.#reader !== undefined && this.rings[stream].end - this.#reader.at[stream] > ROOM_BYTES;
      if (behind) this.#child[stream]?.pause();
      else this.#child[stream]?.resume();
    }
  }

  #take(stream: OutputStream, chunk: Buffer, outputBytes: number | undefined): void {
    const ring = this.rings[stream];
    ring.end += chunk.length;
    ring.bytes = Buffer.concat([ring.bytes, chunk]);
    if (ring.bytes.length > this.#ringBytes) ring.bytes = ring.bytes.subarray(-this.#ringBytes);
    if (outputBytes !== undefined && this.rings.stdout.end + this.rings.stderr.end > outputBytes) this.#end("output");
    this.flow();
    this.#wake();
  }

  #wake(): void {
    this.#reader?.wake();
    for (const session of this.#beside) session.wake();
  }

  #end(limit: ExecReport["limit"]): void {
    this.#limit ??= limit;
    this.signal("SIGKILL");
  }

  async #watch({ wallMs }: ExecRequest): Promise<void> {
    const timer = wallMs === undefined ? undefined : setTimeout(() => this.#end("wall"), wallMs);
    const [code, signal] = (await once(this.#child, "close")) as [number | null, NodeJS.Signals | null];
    clearTimeout(timer);
    for (const stream of STREAMS) this.rings[stream].closed = true;
    this.report = {
      exec: this.exec,
      code,
      signal,
      limit: this.#limit,
      wallMs: performance.now() - this.#startedAt,
      userMs: 0,
      systemMs: 0,
      peakRssBytes: 0,
      stdoutBytes: this.rings.stdout.end,
      stderrBytes: this.rings.stderr.end,
    };
    this.#wake();
  }
}

class Session implements ExecSession {
  readonly exec: ExecId;
  readonly pid: number;
  readonly at: Record<OutputStream, number>;
  readonly #command: Command;
  readonly #child: ChildProcess;
  #wake: () => void = () => {};
  #state: "open" | "closed" | "replaced" = "open";

  constructor(command: Command, child: ChildProcess, from: OutputOffsets) {
    this.exec = command.exec;
    this.pid = command.pid;
    this.at = { stdout: from.stdout, stderr: from.stderr };
    this.#command = command;
    this.#child = child;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ExecEvent> {
    for (;;) {
      if (this.#state === "closed") return;
      if (this.#state === "replaced") throw new PlyboxError("exec/output-replaced", "another reader took over");
      const next = this.#next();
      if (next !== undefined) {
        yield next;
        if (next.kind === "exit") return;
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** What there is, without waiting for more. */
  async *now(): AsyncGenerator<ExecEvent> {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      yield next;
      if (next.kind === "exit") return;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { stdin } = this.#child;
    if (this.#command.report !== undefined) return;
    if (stdin === null) throw new PlyboxError("exec/refused", "the command's stdin is not open");
    if (stdin.writableEnded) throw new PlyboxError("input/invalid", "the command's stdin is closed");
    if (!stdin.write(bytes)) await Promise.race([once(stdin, "drain"), this.#command.ended]);
  }

  async endInput(): Promise<void> {
    this.#child.stdin?.end();
  }

  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    this.#command.detach(this);
    this.#wake();
  }

  replace(): void {
    if (this.#state === "open") this.#state = "replaced";
    this.#wake();
  }

  wake(): void {
    this.#wake();
  }

  #next(): ExecEvent | undefined {
    for (const stream of STREAMS) {
      const { bytes, end, closed } = this.#command.rings[stream];
      const first = end - bytes.length;
      const at = this.at[stream];
      if (at < first) {
        this.at[stream] = first;
        return { kind: "lost", stream, from: at, to: first };
      }
      if (at < end) {
        const piece = bytes.subarray(at - first, at - first + 64 * 1024);
        this.at[stream] = at + piece.length;
        this.#command.flow();
        return { kind: "output", stream, offset: at, bytes: Buffer.from(piece) };
      }
      if (closed && at === end && !this.#ended.has(stream)) {
        this.#ended.add(stream);
        return { kind: "end", stream, offset: end };
      }
    }
    return this.#command.report && { kind: "exit", report: this.#command.report };
  }

  readonly #ended = new Set<OutputStream>();
}
