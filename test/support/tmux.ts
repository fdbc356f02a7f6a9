import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const LOOK_AGAIN_MS = 50;
/** A screen that never comes ends the test with what is there instead. */
const GIVE_UP_MS = 60_000;

/** A person's terminal, driven by tmux: keys go in, and the screen can be read as it looks. */
export class Tmux implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "plybox-tmux-"));
  readonly #env: NodeJS.ProcessEnv;

  private constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** A shell on a terminal of this size. */
  static async start(env: NodeJS.ProcessEnv, { columns = 100, rows = 30 } = {}): Promise<Tmux> {
    const tmux = new Tmux({ ...env, LANG: "C.UTF-8", TERM: "xterm-256color" });
    const size = ["-x", String(columns), "-y", String(rows)];
    await tmux.#tmux("-f", "/dev/null", "new-session", "-d", ...size, "env PS1='outside$ ' bash --norc --noprofile");
    await tmux.see(/outside\$/);
    return tmux;
  }

  /** Types text as it is. */
  async type(text: string): Promise<void> {
    await this.#tmux("send-keys", "-l", text);
  }

  /** Presses keys by their tmux names, such as `Enter` and `C-c`. */
  async press(...keys: readonly string[]): Promise<void> {
    await this.#tmux("send-keys", ...keys);
  }

  async line(text: string): Promise<void> {
    await this.type(text);
    await this.press("Enter");
  }

  /** The screen's lines, without what is blank at their ends. */
  async screen(): Promise<string> {
    const { stdout } = await this.#tmux("capture-pane", "-p");
    return stdout.replace(/[ \t]+$/gm, "");
  }

  /** Waits until the screen shows this, and answers the screen. */
  async see(what: RegExp): Promise<string> {
    for (const end = performance.now() + GIVE_UP_MS; ; await delay(LOOK_AGAIN_MS)) {
      const screen = await this.screen();
      if (what.test(screen)) return screen;
      if (performance.now() > end) throw new Error(`${what} is not on the screen:\n${screen}`);
    }
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server").catch(() => {});
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #tmux(...args: readonly string[]) {
    return run("tmux", ["-S", join(this.#directory, "socket"), ...args], { env: this.#env });
  }
}
