import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rename, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SandboxId } from "../../src/model/ids.ts";
import { newSandboxId } from "../../src/model/ids.ts";

const PROGRAM = join(import.meta.dirname, "../../build/plyagent");
const LISTEN_FD = 3;
const ENVIRONMENT = { SANDBOX_OWN: "given at create", LOGNAME: "given-too" };

/** `plyagent` as an ordinary process of this machine, which is all that its protocol needs. */
export class NativeAgent implements AsyncDisposable {
  readonly sandbox: SandboxId;
  readonly incarnation = 1;
  readonly environment = ENVIRONMENT;
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly #exit: Promise<readonly [code: number | null, signal: string | null]>;

  private constructor(sandbox: SandboxId, directory: string, child: ChildProcess) {
    this.sandbox = sandbox;
    this.#directory = directory;
    this.#process = child;
    this.#exit = once(child, "exit") as Promise<[number | null, string | null]>;
  }

  static async start(): Promise<NativeAgent> {
    const directory = await mkdtemp(join(tmpdir(), "plybox-agent-"));
    const sandbox = newSandboxId();
    const server = createServer().listen(join(directory, "unused.sock"));
    await once(server, "listening");
    // Node removes the path when it closes its own copy of the socket, which must not take the agent's.
    await rename(join(directory, "unused.sock"), socketPath(directory));
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    const args = ["--sandbox", sandbox, "--incarnation", "1", "--listen-fd", String(LISTEN_FD)];
    const child = spawn(PROGRAM, args, { cwd: "/", env: ENVIRONMENT, stdio: ["ignore", "ignore", "inherit", fd] });
    const agent = new NativeAgent(sandbox, directory, child);
    const closed = once(server, "close");
    server.close();
    await Promise.all([once(child, "spawn"), closed]);
    return agent;
  }

  async connect(): Promise<Socket> {
    const socket = connect(socketPath(this.#directory));
    await once(socket, "connect");
    return socket;
  }

  /** Resolves with the exit code when the agent has ended. */
  async exited(): Promise<number | null> {
    return (await this.#exit)[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exit;
    await rm(this.#directory, { recursive: true, force: true });
  }
}

function socketPath(directory: string): string {
  return join(directory, "agent.sock");
}
