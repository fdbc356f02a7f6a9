import { readFileSync } from "node:fs";
import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { request } from "node:http";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import type { Sandbox } from "../../src/client/index.ts";
import { TestDaemon } from "./test-daemon.ts";

const SERVER = readFileSync(new URL("./inner-server.mjs", import.meta.url));
export const DOMAIN = "box.test";

/** A daemon that listens on TCP too, and a sandbox in which the servers of inner-server.mjs run. */
export class PortBox implements AsyncDisposable {
  readonly daemon: TestDaemon;
  readonly sandbox: Sandbox;
  readonly tcpPort: number;
  readonly token: string;

  private constructor(daemon: TestDaemon, sandbox: Sandbox, url: string) {
    this.daemon = daemon;
    this.sandbox = sandbox;
    this.tcpPort = Number(new URL(url).port);
    this.token = readFileSync(daemon.config.tokenFile, "utf8").trim();
  }

  static async start(): Promise<PortBox> {
    const daemon = new TestDaemon({ PLYBOX_LISTEN: "127.0.0.1:0", PLYBOX_PORT_DOMAIN: DOMAIN });
    const { urls } = await daemon.start();
    const sandbox = await daemon.client.create({ name: "80-web-1" });
    await sandbox.exec("cat > /root/server.mjs", { stdin: SERVER });
    const servers = await sandbox.spawn("exec node /root/server.mjs");
    for await (const event of servers) if (event.kind === "output") break;
    return new PortBox(daemon, sandbox, urls[1] ?? "");
  }

  /** A path of the API that leads to the server inside. */
  path(target: string, port = 8080): string {
    return `/v1/sandboxes/${this.sandbox.id}/ports/${port}${target}`;
  }

  /** Begins a request on the Unix socket, or on TCP where headers say who asks. */
  begin(path: string, options: RequestOptions & { readonly tcp?: boolean } = {}): ClientRequest {
    const where = options.tcp ? { host: "127.0.0.1", port: this.tcpPort } : { socketPath: this.daemon.config.socket };
    return request({ ...where, path, ...options });
  }

  async ask(path: string, options: RequestOptions & { tcp?: boolean; body?: string } = {}): Promise<Asked> {
    const begun = this.begin(path, options);
    begun.end(options.body);
    const answer = await answerOf(begun);
    return { answer, status: answer.statusCode ?? 0, body: await text(answer) };
  }

  /** Leaves HTTP. */
  upgrade(path: string, options: RequestOptions & { tcp?: boolean } = {}): Promise<Upgraded> {
    const begun = this.begin(path, {
      ...options,
      headers: { connection: "Upgrade", upgrade: "echo", ...options.headers },
    });
    begun.end();
    return new Promise((resolve, reject) => {
      begun.on("upgrade", (answer, socket, head) => {
        // The sandbox's end breaks off what a test has left open.
        socket.on("error", () => {});
        resolve({ answer, socket, head });
      });
      begun.on("response", (answer) => resolve({ answer, socket: undefined, head: Buffer.alloc(0) }));
      begun.on("error", reject);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.daemon[Symbol.asyncDispose]();
  }
}

interface Asked {
  readonly answer: IncomingMessage;
  readonly status: number;
  readonly body: string;
}

interface Upgraded {
  readonly answer: IncomingMessage;
  /** Undefined where the answer was an ordinary one. */
  readonly socket: Duplex | undefined;
  readonly head: Buffer;
}

export const answerOf = (request: ClientRequest): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
  });
