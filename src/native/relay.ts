import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { PlyboxError } from "../model/errors.ts";
import type { Carried, LentStream, Relay } from "../model/file-relay.ts";
import { nativeProgram } from "./programs.ts";

export const relay: Relay = {
  fromClient: (client, lent) => run("in", client, lent),
  toClient: (client, lent) => run("out", client, lent),
};

/**
 * Runs `plyrelay`, which has the pages of a file passed from socket to socket without a copy. Neither connection is read
 * here any more when it returns; whoever goes on with one resumes it. Throws `host/missing`, and `internal` where the
 * program did not come to its end.
 */
async function run(way: "in" | "out", client: Socket, lent: LentStream): Promise<Carried> {
  const { connection, channel, offset, credit, bytes, signal } = lent;
  const numbers = [channel, offset, credit, bytes].map(String);
  const child = spawn(nativeProgram("plyrelay"), [way, ...numbers], {
    stdio: ["ignore", "pipe", "inherit", client, connection],
    // What the daemon's environment holds is nobody else's.
    env: {},
  });
  const kill = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  try {
    const failed = once(child, "error").then(([cause]) => Promise.reject(cause));
    // It may stay a little longer, for a client that still sends.
    return parse(await Promise.race([text(child.stdout as NonNullable<typeof child.stdout>), failed]));
  } catch (cause) {
    throw new PlyboxError("internal", "plyrelay did not say how far it came", { cause });
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

const parse = (line: string): Carried => JSON.parse(line) as Carried;
