import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers/promises";
import type { Deferred } from "../src/base/deferred.ts";
import { deferred } from "../src/base/deferred.ts";

const STDERR_KEPT = 2000;
const END_MS = 10_000;
const NS_PER_MS = 1e6;

/** A running bench/native/reference.c, which says what its requests mean. */
export class ReferenceDriver implements AsyncDisposable {
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #waiting: Deferred<string>[] = [];
  #stderr = "";

  /** @param command the driver with its arguments, or what becomes it, such as `unshare … reference spawn …` */
  constructor([program = "", ...args]: readonly string[]) {
    // A process group of its own: Ctrl-C is for the benchmark, which then ends its drivers in order.
    this.#process = spawn(program, args, { cwd: "/", detached: true, stdio: ["pipe", "pipe", "pipe"] });
    this.pid = this.#process.pid ?? 0;
    const { stdin, stdout, stderr } = this.#process;
    if (stdin === null || stdout === null || stderr === null) throw new Error("the driver has no pipes");
    stdin.on("error", () => {}); // A driver that has ended is reported by its end.
    stderr.on("data", (chunk) => {
      this.#stderr = `${this.#stderr}${chunk}`.slice(-STDERR_KEPT);
    });
    createInterface(stdout).on("line", (line) => this.#waiting.shift()?.resolve(line));
    this.#ended = once(this.#process, "close").then(
      ([code]) => this.#fail(`it ended with ${code}`),
      (error: Error) => this.#fail(error.message),
    );
  }

  /** Milliseconds until each of `count` programs, one after the other, has ended or been entered. */
  async run(until: "exit" | "exec", count = 1): Promise<number[]> {
    return (await this.#ask(`${until} ${count}`)).map((ns) => ns / NS_PER_MS);
  }

  /** Milliseconds from the first start until each of `count` programs, all at once, has ended. */
  async burst(count: number): Promise<number[]> {
    return (await this.#ask(`burst ${count}`)).map((ns) => ns / NS_PER_MS);
  }

  /** Starts programs that stay; each must write a byte when it is ready. Returns their pids. */
  async hold(count: number): Promise<number[]> {
    return await this.#ask(`hold ${count}`);
  }

  /** Ends what `hold` started. */
  async release(): Promise<void> {
    await this.#ask("release");
  }

  /** The one line that `reference listen` writes. */
  async listening(): Promise<void> {
    await this.#answer();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin?.end();
    const late = setTimeout(() => this.#kill(), END_MS);
    await this.#ended;
    clearTimeout(late);
  }

  /** Ends it at once, for a driver that became a program which does not read its input. */
  async kill(): Promise<void> {
    this.#kill();
    await this.#ended;
  }

  #kill(): void {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null || this.pid === 0) return;
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  async #ask(request: string): Promise<number[]> {
    const answer = this.#answer();
    this.#process.stdin?.write(`${request}\n`);
    const line = await answer;
    if (line.startsWith("error ")) {
      // What its program wrote came before the answer, through another pipe: it is read in the same turn.
      await setImmediate();
      throw new Error([line.slice("error ".length), this.#stderr.trim()].join("\n").trim());
    }
    return line === "" ? [] : line.split(" ").map(Number);
  }

  #answer(): Promise<string> {
    const answer = deferred<string>();
    this.#waiting.push(answer);
    if (this.#process.exitCode !== null) this.#fail(`it ended with ${this.#process.exitCode}`);
    return answer.promise;
  }

  #fail(reason: string): void {
    const error = new Error(`the reference driver: ${reason}\n${this.#stderr}`.trim());
    for (const answer of this.#waiting.splice(0)) answer.reject(error);
  }
}
