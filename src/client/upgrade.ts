import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import type { Duplex } from "node:stream";
import { errorOfAnswer, unreachable } from "./plybox-api-error.ts";
import type { UpgradeRequest } from "./transport.ts";

/** The built-in modules that a bare connection needs. */
interface NodeModules {
  readonly "node:http": typeof import("node:http");
  readonly "node:https": typeof import("node:https");
  readonly "node:net": typeof import("node:net");
  readonly "node:stream": typeof import("node:stream");
}

/** Asked of the process, so that a bundle for browsers holds none. */
export function nodeModule<Name extends keyof NodeModules>(name: Name): NodeModules[Name] {
  const found: NodeModules[Name] | undefined = globalThis.process?.getBuiltinModule?.(name);
  if (found === undefined) throw new TypeError("a bare connection needs Node");
  return found;
}

/** Leaves HTTP; the connection is the caller's, in whose protocol it speaks from there on. */
export function upgradeConnection(
  where: { readonly socketPath: string } | { readonly baseUrl: string },
  { path, headers, protocol, signal }: UpgradeRequest,
): Promise<Duplex> {
  signal?.throwIfAborted();
  const named = "socketPath" in where ? where.socketPath : where.baseUrl;
  const options = {
    ...{ method: "GET", agent: false, headers: { ...headers, connection: "Upgrade", upgrade: protocol } },
    // Each direction has an end of its own.
    allowHalfOpen: true,
  };
  const request = requestTo(where, path, options);
  request.end();
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      request.destroy();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    const settled = (): void => signal?.removeEventListener("abort", abort);
    request.on("error", (cause) => {
      settled();
      reject(unreachable(`no answer at ${named}`, cause));
    });
    request.on("response", (answer) => {
      settled();
      failureOf(answer, named).then(reject, reject);
    });
    request.on("upgrade", (_answer, socket: Duplex, head: Buffer) => {
      settled();
      // Whoever reads has a listener of its own; until then a connection that breaks must not end the process.
      socket.on("error", () => {});
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
  });
}

function requestTo(
  where: { readonly socketPath: string } | { readonly baseUrl: string },
  path: string,
  options: RequestOptions,
): ClientRequest {
  if ("socketPath" in where) return nodeModule("node:http").request({ ...options, path, socketPath: where.socketPath });
  const url = new URL(where.baseUrl + path);
  return nodeModule(url.protocol === "https:" ? "node:https" : "node:http").request(url, options);
}

async function failureOf(answer: IncomingMessage, named: string): Promise<unknown> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of answer) pieces.push(piece as Buffer);
    return errorOfAnswer(answer.statusCode ?? 0, Buffer.concat(pieces).toString());
  } catch (cause) {
    return unreachable(`the answer from ${named} broke off`, cause);
  }
}
