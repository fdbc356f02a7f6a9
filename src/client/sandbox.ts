import type {
  ActivateBody,
  CheckpointBody,
  CheckpointView,
  DiffView,
  ExecBody,
  ExecListView,
  ExecResultView,
  ExtendBody,
  MergeBody,
  MergeView,
  RecomposedView,
  RestoreBody,
  RestoredView,
  SandboxView,
  SignalBody,
  TakenView,
  TimelineView,
  UndoBody,
  UpdateBody,
} from "../api/contract.ts";
import type { SignalScope } from "../model/exec.ts";
import type { Bisection, BisectOptions } from "./bisect.ts";
import { bisect, pointsToTry } from "./bisect.ts";
import type { CommandEvent, Offsets } from "./command.ts";
import { Command, outputPath } from "./command.ts";
import type { CallOptions, Connection } from "./connection.ts";
import type { DiffOptions } from "./diff-options.ts";
import type {
  CommandLine,
  CommandOptions,
  ExecOptions,
  ExecSummary,
  FollowCommandOptions,
  ListExecsOptions,
  SpawnOptions,
  TerminalOptions,
} from "./exec-options.ts";
import { execBody, stdinBody } from "./exec-options.ts";
import type { Encoding, ExecResult } from "./exec-result.ts";
import { resultOfStream, resultOfView } from "./exec-result.ts";
import { Files } from "./files.ts";
import type { ForkOptions, Forks } from "./forks.ts";
import { makeForks } from "./forks.ts";
import type { KeptOutput, KeptOutputOptions, ReadOutputOptions } from "./kept-output.ts";
import { keptOutput, readOutput } from "./kept-output.ts";
import { PlyboxApiError } from "./plybox-api-error.ts";
import { Ports } from "./ports.ts";
import { RECONNECT_MS, untilAnswered } from "./retry.ts";
import { Terminal } from "./terminal.ts";
import type { Processes, Usage, WatchUsageOptions } from "./usage.ts";
import { usageOf, watchUsage } from "./usage.ts";

/** One question of `waitReady`: what is between here and the daemon may end a connection on which nothing is said. */
const WAIT_MS = 30_000;

/** More than this does not go into a JSON body of 1 MiB, whatever has to be escaped, and is sent as a stream. */
const INLINE_STDIN = 128 * 1024;

interface RemoveSandboxOptions extends CallOptions {
  readonly save?: boolean;
}

export interface ComposeOptions extends CallOptions {
  /** `keep` refuses rather than end its processes; `may-end` by default. */
  readonly processes?: "keep" | "may-end";
}

/** One sandbox. `await using` removes it at the end of the block. */
export class Sandbox implements AsyncDisposable {
  readonly id: string;
  readonly name: string | null;
  /** The sandbox as it was when this object was made; `inspect` asks again. */
  readonly view: SandboxView;
  readonly ports: Ports;
  readonly files: Files;
  readonly #connection: Connection;
  readonly #path: string;

  constructor(connection: Connection, view: SandboxView) {
    this.id = view.id;
    this.name = view.name;
    this.view = view;
    this.#connection = connection;
    this.#path = `/v1/sandboxes/${view.id}`;
    this.files = new Files(connection, this.#path);
    this.ports = new Ports(connection, this.#path);
  }

  /**
   * Runs a command to its end. A failing command is a result, not an error: look at `exitCode`, `signal` and `limit`.
   * At most 16 MiB of output are collected; `truncated` tells what is not there, and listeners get all of it.
   */
  async exec<E extends Encoding = "utf8">(command: CommandLine, options: ExecOptions<E> = {}): Promise<ExecResult<E>> {
    const { stdin, onStdout, onStderr, signal } = options;
    const encoding = (options.encoding ?? "utf8") as E;
    const isLarge = stdin !== undefined && stdin.length > INLINE_STDIN;
    if (onStdout !== undefined || onStderr !== undefined || signal !== undefined || isLarge) {
      const running = await this.spawn(command, isLarge ? { ...options, stdin: true } : options);
      // The command need not read it; what is wrong with the connection shows in its stream.
      if (isLarge) Promise.all([running.write(stdin), running.end()]).catch(() => {});
      try {
        return await resultOfStream(running, { encoding, onStdout, onStderr });
      } finally {
        running.close(); // `using` would need a runtime that has Symbol.asyncDispose, which not every browser has.
      }
    }
    const body: ExecBody = {
      ...execBody(command, options),
      ...(stdin !== undefined && { stdin: stdinBody(stdin) }),
      ...(encoding === "bytes" && { encoding: "base64" }),
    };
    return resultOfView(await this.#repeatable<ExecResultView>(body, options), encoding);
  }

  /** Starts a command and follows it. Resolves when it runs. */
  async spawn(command: CommandLine, options: SpawnOptions = {}): Promise<Command> {
    return await this.#spawn(command, options);
  }

  async #spawn(command: CommandLine | undefined, options: SpawnOptions): Promise<Command> {
    const { stdin, signal } = options;
    const body: ExecBody = {
      ...execBody(command, options),
      ...(stdin !== undefined && { stdin: stdin === true ? "stream" : stdinBody(stdin) }),
    };
    const from = { stdout: 0, stderr: 0 };
    const { idempotencyKey, reconnectMs = RECONNECT_MS } = options;
    return await this.#open({
      ...{ method: "POST", path: "/exec", body, from, signal, onAbort: "kill", idempotencyKey, reconnectMs },
    });
  }

  /**
   * Follows a command that runs already, or that ended and is still kept, from the given offsets on. It takes the place
   * of an earlier follower, unless it is `shared`. An abort stops the following, not the command.
   */
  async attach(exec: string, from: Partial<Offsets> = {}, options: FollowCommandOptions = {}): Promise<Command> {
    const { signal, reconnectMs = RECONNECT_MS, shared = false } = options;
    const offsets = { stdout: from.stdout ?? 0, stderr: from.stderr ?? 0 };
    const path = `/execs/${encodeURIComponent(exec)}${outputPath(offsets, { shared })}`;
    return await this.#open({
      ...{ method: "GET", path, from: offsets, signal, onAbort: "close", reconnectMs, shared },
    });
  }

  /** What a command has written by now, as far as it is kept. Nobody who follows it is disturbed. */
  async output<E extends Encoding = "utf8">(exec: string, options: KeptOutputOptions<E> = {}): Promise<KeptOutput<E>> {
    return await keptOutput(this.#connection, this.#execPath(exec), options);
  }

  /** The same piece by piece: `for await (const event of sandbox.readOutput(exec))`. */
  readOutput(exec: string, options: ReadOutputOptions = {}): AsyncGenerator<CommandEvent, void, undefined> {
    return readOutput(this.#connection, this.#execPath(exec), options);
  }

  /**
   * Starts a command on a terminal: the user's shell by default. Resolves when it runs. Without `reconnectMs` the loss
   * of the daemon ends the following at once: whoever types is to know.
   */
  async terminal({ command, columns = 80, rows = 24, ...options }: TerminalOptions = {}): Promise<Terminal> {
    const running = await this.#spawn(command, { reconnectMs: 0, ...options, pty: { columns, rows } });
    return new Terminal(running, this.#connection, this.#path);
  }

  /** Listens again to a command on a terminal, from the given offset on, in place of whoever listens now. */
  async attachTerminal(exec: string, from = 0, options?: FollowCommandOptions): Promise<Terminal> {
    return new Terminal(
      await this.attach(exec, { stdout: from }, { reconnectMs: 0, ...options }),
      this.#connection,
      this.#path,
    );
  }

  /** Starts a command that nobody follows; `attach` reads what it wrote. */
  async detach(
    command: CommandLine,
    options: SpawnOptions = {},
  ): Promise<{ readonly exec: string; readonly pid: number }> {
    const { stdin } = options;
    const body: ExecBody = {
      ...execBody(command, options),
      ...(stdin !== undefined && { stdin: stdin === true ? "stream" : stdinBody(stdin) }),
      detach: true,
    };
    return await this.#repeatable(body, options);
  }

  /** Commands that run and that have ended, newest first; the newest 100 of those that are asked for. */
  async execs(options: ListExecsOptions = {}): Promise<readonly ExecSummary[]> {
    return (await this.execPage(options)).execs;
  }

  /** The same, with the `after` of the page behind it. */
  async execPage({ signal, ...query }: ListExecsOptions = {}): Promise<ExecListView> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const text = (value: unknown): string => (value instanceof Date ? value.toISOString() : String(value));
    const search = new URLSearchParams(given.map(([name, value]): [string, string] => [name, text(value)]));
    const path = `${this.#path}/execs${given.length === 0 ? "" : `?${search}`}`;
    return await this.#connection.json<ExecListView>("GET", path, undefined, { signal });
  }

  /** One command as it is now. */
  async inspectExec(exec: string, options?: CallOptions): Promise<ExecSummary> {
    return await this.#connection.json("GET", this.#execPath(exec), undefined, options);
  }

  /** Waits until a command has ended, however long that takes; nobody who follows it is disturbed. */
  async waitExec(exec: string, options?: CallOptions): Promise<ExecSummary> {
    for (;;) {
      const path = `${this.#execPath(exec)}?wait=end&waitMs=${WAIT_MS}`;
      const view = await this.#connection.json<ExecSummary>("GET", path, undefined, options);
      if (!view.running) return view;
    }
  }

  /** Sends a signal to a command's process group by default. Harmless after the end. */
  async killExec(
    exec: string,
    signal = "SIGTERM",
    { scope, ...call }: CallOptions & { readonly scope?: SignalScope } = {},
  ): Promise<void> {
    const body: SignalBody = { signal, ...(scope !== undefined && { scope }) };
    await this.#connection.json("POST", `${this.#execPath(exec)}/signal`, body, call);
  }

  /** Forgets a command that has ended, with its output. */
  async forgetExec(exec: string, options?: CallOptions): Promise<void> {
    await this.#connection.json("DELETE", this.#execPath(exec), undefined, options);
  }

  /** The sandbox as it is now. */
  async inspect(options?: CallOptions): Promise<SandboxView> {
    return await this.#connection.json("GET", this.#path, undefined, options);
  }

  /** What the sandbox takes from the machine now. */
  async usage(options?: CallOptions): Promise<Usage> {
    return await usageOf(this.#connection, this.#path, options);
  }

  /** What it takes, again and again, until it is gone; `cores` is what is in use between one sample and the next. */
  watchUsage(options?: WatchUsageOptions): AsyncGenerator<Usage, void, undefined> {
    return watchUsage(this.#connection, this.#path, options);
  }

  /** The processes inside. */
  async processes(options?: CallOptions): Promise<Processes> {
    return await this.#connection.json("GET", `${this.#path}/processes`, undefined, options);
  }

  /** Freezes its processes. Each of these answers the sandbox as it is then; what is so already is fine. */
  async pause(options?: CallOptions): Promise<SandboxView> {
    return await this.#connection.json("POST", `${this.#path}/pause`, undefined, options);
  }

  async resume(options?: CallOptions): Promise<SandboxView> {
    return await this.#connection.json("POST", `${this.#path}/resume`, undefined, options);
  }

  /** Ends its processes and keeps what it wrote. */
  async stop(options?: CallOptions): Promise<SandboxView> {
    return await this.#connection.json("POST", `${this.#path}/stop`, undefined, options);
  }

  /** Starts it again on what it wrote. */
  async start(options?: CallOptions): Promise<SandboxView> {
    return await this.#connection.json("POST", `${this.#path}/start`, undefined, options);
  }

  /** Stops it, where it runs, and starts it again. */
  async restart(options?: CallOptions): Promise<SandboxView> {
    return await this.#connection.json("POST", `${this.#path}/restart`, undefined, options);
  }

  /** Keeps what it has written by now; its commands go on. With a name it is kept until it is removed. */
  async checkpoint(body: CheckpointBody = {}, options?: CallOptions): Promise<TakenView> {
    return await this.#connection.json("POST", `${this.#path}/checkpoints`, body, options);
  }

  /** What it can go back to. */
  async timeline(options?: CallOptions): Promise<TimelineView> {
    return await this.#connection.json("GET", `${this.#path}/checkpoints`, undefined, options);
  }

  /** What differs between a checkpoint, by id or name, and another, or what the sandbox holds now. */
  async diff(from: string, { signal, ...wish }: DiffOptions = {}): Promise<DiffView> {
    const given = Object.entries({ from, ...wish }).filter(([, value]) => value !== undefined);
    const query = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)]));
    return await this.#connection.json("GET", `${this.#path}/diff?${query}`, undefined, { signal });
  }

  /** Makes sandboxes that begin with what this one holds now, or `from` a checkpoint. Processes are not copied. */
  async fork({ signal, ...body }: ForkOptions = {}): Promise<Forks<Sandbox>> {
    const open = (view: SandboxView): Sandbox => new Sandbox(this.#connection, view);
    return await makeForks(this.#connection, { path: `${this.#path}/fork`, body, open, signal });
  }

  /**
   * Finds the first checkpoint at which a test fails, by running it in forks: exit code 0 is good, 1 to 124 bad.
   * @throws Error where the test cannot be run
   */
  async bisect(test: CommandLine, { onStep, signal }: BisectOptions = {}): Promise<Bisection> {
    const points = pointsToTry(await this.timeline({ signal }));
    const attempt = async (point: CheckpointView | null): Promise<number> => {
      const { sandboxes } = await this.fork({ ...(point !== null && { from: point.id }), signal });
      const [fork] = sandboxes as [Sandbox];
      try {
        const { exitCode, signal: end } = await fork.exec(test);
        return end === null ? (exitCode ?? 128) : 128;
      } finally {
        await fork.remove({ save: false });
      }
    };
    return await bisect(points, attempt, onStep);
  }

  /** Puts it back to a checkpoint, by id or name. Where it runs its commands are ended, and it starts again. */
  async restore(checkpoint: string, options?: CallOptions): Promise<RestoredView> {
    const body: RestoreBody = { checkpoint };
    return await this.#connection.json("POST", `${this.#path}/restore`, body, options);
  }

  /**
   * Brings into it what another sandbox, such as a fork of it, has changed since the two were one, or had at a checkpoint.
   * Look at `outcome`: where both changed the same, nothing is written unless `onConflict` names a side. Where it runs and
   * there is something to write, its commands are ended and it starts again.
   */
  async merge(body: MergeBody, options?: CallOptions): Promise<MergeView> {
    return await this.#connection.json("POST", `${this.#path}/merge`, body, options);
  }

  /** Puts it back to the checkpoint before, or so many steps. */
  async undo(body: UndoBody = {}, options?: CallOptions): Promise<RestoredView> {
    return await this.#connection.json("POST", `${this.#path}/undo`, body, options);
  }

  /**
   * Adds a layer to what it stands on, where the layer's number puts it. Its processes are ended where they cannot be
   * kept, unless they have to be: then it is refused, as `layer/needs-restart`.
   */
  async activateLayer(layer: string, options: ComposeOptions = {}): Promise<RecomposedView> {
    const { processes, ...call } = options;
    const body: ActivateBody = { layer, ...(processes !== undefined && { processes }) };
    return await this.#connection.json("POST", `${this.#path}/layers`, body, call);
  }

  /** Takes a layer away from what it stands on; what it wrote stays. */
  async deactivateLayer(layer: string, options: ComposeOptions = {}): Promise<RecomposedView> {
    const { processes, ...call } = options;
    const query = processes === undefined ? "" : `?processes=${processes}`;
    const path = `${this.#path}/layers/${encodeURIComponent(layer)}${query}`;
    return await this.#connection.json("DELETE", path, undefined, call);
  }

  /** Gives it so many milliseconds of life from now on. */
  async extend(lifetimeMs: number, options?: CallOptions): Promise<SandboxView> {
    const body: ExtendBody = { lifetimeMs };
    return await this.#connection.json("POST", `${this.#path}/extend`, body, options);
  }

  /** Changes its name, labels and times; what is not given stays. */
  async update(changes: UpdateBody, options?: CallOptions): Promise<SandboxView> {
    return await this.#connection.json("PATCH", this.#path, changes, options);
  }

  /** Waits until its ready probe has succeeded, however long that takes; one without a probe is ready when it runs. */
  async waitReady(options?: CallOptions): Promise<SandboxView> {
    for (;;) {
      const path = `${this.#path}?wait=ready&waitMs=${WAIT_MS}`;
      const view = await this.#connection.json<SandboxView>("GET", path, undefined, options);
      if (view.ready !== false && view.state.kind === "running") return view;
    }
  }

  /**
   * Ends its processes and removes everything of it. What it wrote goes to object storage first, where that is to hold it
   * and `save` is not false.
   */
  async remove({ save, ...options }: RemoveSandboxOptions = {}): Promise<void> {
    const query = save === undefined ? "" : `?save=${save}`;
    await this.#connection.json("DELETE", `${this.#path}${query}`, undefined, options);
  }

  /** Removes it; one that is gone already is fine. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.remove();
    } catch (error) {
      if (!(error instanceof PlyboxApiError && error.code === "sandbox/not-found")) throw error;
    }
  }

  #execPath(exec: string): string {
    return `${this.#path}/execs/${encodeURIComponent(exec)}`;
  }

  /** Starts a command without following it; sent again while nobody answers, where that starts it once. */
  #repeatable<T>(body: ExecBody, { signal, idempotencyKey, reconnectMs = RECONNECT_MS }: CommandOptions): Promise<T> {
    const attempt = (): Promise<T> =>
      this.#connection.json<T>("POST", `${this.#path}/exec`, body, { signal, idempotencyKey });
    return untilAnswered(attempt, idempotencyKey === undefined ? 0 : reconnectMs, signal);
  }

  #open(request: Omit<Parameters<typeof Command.open>[0], "connection" | "sandboxPath">): Promise<Command> {
    return Command.open({ connection: this.#connection, sandboxPath: this.#path, ...request });
  }
}
