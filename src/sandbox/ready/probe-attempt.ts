import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:http";
import { newExecId } from "../../model/ids.ts";
import type { ProbeTarget } from "../../model/ready-probe.ts";
import type { AgentLink } from "../../wire/agent-link.ts";

/** Tries a probe once, for at most so long. Answers why it did not succeed, undefined where it did. */
export async function attempt(agent: AgentLink, target: ProbeTarget, attemptMs: number): Promise<string | undefined> {
  switch (target.kind) {
    case "exec":
      return await attemptCommand(agent, target.command, attemptMs);
    case "tcp":
      return await attemptPort(agent, target.port, attemptMs);
    case "http":
      return await attemptRequest(agent, target, attemptMs);
  }
}

async function attemptCommand(
  agent: AgentLink,
  command: readonly string[] | string,
  wallMs: number,
): Promise<string | undefined> {
  const exec = newExecId();
  const session = await agent.exec({ exec, command, wallMs, merge: true, ringBytes: 4096 });
  for await (const event of session) {
    if (event.kind !== "exit") continue;
    // What an agent keeps of ended commands is few, and theirs who may ask for it.
    await agent.forget(exec);
    const { code, signal, limit } = event.report;
    if (code === 0) return undefined;
    if (limit === "wall") return `the command took longer than ${wallMs.toLocaleString("en")} ms`;
    return `the command ended with ${signal ?? `exit code ${code}`}`;
  }
  return "the command's end was not seen";
}

async function attemptPort(agent: AgentLink, port: number, attemptMs: number): Promise<string | undefined> {
  const stream = await agent.dial({ port }, AbortSignal.timeout(attemptMs));
  stream.destroy();
  return undefined;
}

async function attemptRequest(
  agent: AgentLink,
  { port, path = "/" }: { readonly port: number; readonly path?: string },
  attemptMs: number,
): Promise<string | undefined> {
  const signal = AbortSignal.timeout(attemptMs);
  const stream = await agent.dial({ port }, signal);
  try {
    const headers = { host: `localhost:${port}`, connection: "close" };
    const sent = request({ path, headers, signal, createConnection: () => stream }).end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    const { statusCode = 0 } = answer;
    return statusCode >= 200 && statusCode < 400 ? undefined : `GET ${path} was answered with ${statusCode}`;
  } finally {
    stream.destroy();
  }
}
