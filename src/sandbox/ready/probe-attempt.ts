import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:http";
import type { Duplex } from "node:stream";
import type { ExecRequest } from "../../model/exec.ts";
import { newExecId } from "../../model/ids.ts";
import type { ProbeTarget } from "../../model/ready-probe.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { AgentLink } from "../../wire/agent-link.ts";
import { withDefaults } from "../image-defaults.ts";

/** Tries a probe once, for at most so long. Answers why it did not succeed, undefined where it did. */
export async function attempt(
  agent: AgentLink,
  target: ProbeTarget,
  { sandbox, attemptMs }: { readonly sandbox: Pick<Sandbox, "cwd" | "user">; readonly attemptMs: number },
): Promise<string | undefined> {
  if (target.kind === "exec") {
    const request = { exec: newExecId(), command: target.command, wallMs: attemptMs, merge: true, ringBytes: 4096 };
    return await attemptCommand(agent, withDefaults(request, sandbox), attemptMs);
  }
  const signal = AbortSignal.timeout(attemptMs);
  try {
    const stream = await agent.dial({ port: target.port }, signal);
    try {
      return target.kind === "tcp" ? undefined : await attemptRequest(stream, target, signal);
    } finally {
      stream.destroy();
    }
  } catch (error) {
    if (signal.aborted) return `it took longer than ${attemptMs.toLocaleString("en")} ms`;
    throw error;
  }
}

async function attemptCommand(agent: AgentLink, request: ExecRequest, wallMs: number): Promise<string | undefined> {
  const { exec } = request;
  const session = await agent.exec(request);
  for await (const event of session) {
    if (event.kind !== "exit") continue;
    // What an agent keeps of ended commands is few, and theirs who may ask for it.
    await agent.forget(exec);
    const { code, signal, limit } = event.report;
    if (code === 0) return undefined;
    if (limit === "wall") return `it took longer than ${wallMs.toLocaleString("en")} ms`;
    return `the command ended with ${signal ?? `exit code ${code}`}`;
  }
  return "the command's end was not seen";
}

async function attemptRequest(
  stream: Duplex,
  { port, path = "/" }: { readonly port: number; readonly path?: string },
  signal: AbortSignal,
): Promise<string | undefined> {
  const headers = { host: `localhost:${port}`, connection: "close" };
  const sent = request({ path, headers, signal, createConnection: () => stream }).end();
  // The stream is destroyed under it, and what it says of that is of no use.
  sent.on("error", () => {});
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  answer.on("error", () => {});
  const { statusCode = 0 } = answer;
  return statusCode >= 200 && statusCode < 400 ? undefined : `GET ${path} was answered with ${statusCode}`;
}
