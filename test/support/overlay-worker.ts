import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A name and its arguments, as overlay-worker.py has them. */
export type Operation = readonly [name: string, ...args: (string | number)[]];
/** One name of a tree: its path, what it is, and the file that it is a name of. */
export type Scanned = readonly [path: string, description: readonly unknown[], inode: string | null];

type Request =
  | {
      readonly do: "mount";
      readonly lower: readonly string[];
      readonly upper: string;
      readonly work: string;
      readonly at: string;
    }
  | { readonly do: "unmount" | "scan"; readonly at: string }
  | { readonly do: "operate"; readonly at: string; readonly operations: readonly Operation[] };

/** overlay-worker.py: real overlays that nobody else sees, and that end with it. */
export class OverlayWorker implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    const script = fileURLToPath(new URL("overlay-worker.py", import.meta.url));
    this.#child = spawn("unshare", ["--mount", "/usr/bin/python3", "-SI", script], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (this.#child.stdout === null) throw new Error("it has no stdout");
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(request: Request): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value } = await this.#lines.next();
    const answer = JSON.parse(value) as { ok?: unknown; error?: string };
    if (answer.error !== undefined) throw new Error(`${request.do}: ${answer.error}`);
    return answer.ok;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, "close");
  }
}
