import type { Command } from "commander";
import type { DialTarget, PortForward, Sandbox } from "../../client/index.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { failureOf } from "../fail.ts";
import { jsonOption } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { Interrupts } from "../stdio/interrupts.ts";
import type { Forwarding } from "../values/forward.ts";
import { parseForwarding } from "../values/forward.ts";

interface ForwardOptions extends ConnectOptions {
  readonly json?: true;
}

interface Listening {
  readonly forwarding: Forwarding;
  readonly forward: PortForward;
}

export function defineForward(program: Command, context: CliContext): void {
  const command = program
    .command("forward")
    .argument("<sandbox>", "id or name")
    .argument(
      "<forwardings...>",
      "[[HOST:]LOCAL:]REMOTE; REMOTE is a port or the path of a Unix socket, LOCAL 0 a free port",
    )
    .addOption(jsonOption("print where it listens as JSON"));
  connectOptions(command).action(async (ref: string, specs: readonly string[], options: ForwardOptions) => {
    const forwardings = specs.map(parseForwarding);
    // Ctrl-C is how it is meant to end.
    const stopping = new AbortController();
    using _interrupts = new Interrupts(context.interrupts, () => stopping.abort());
    const stopped = new Promise((resolve) => stopping.signal.addEventListener("abort", resolve, { once: true }));
    const sandbox = await (await connect(options, context)).get(ref);
    await using opened = new Opened();
    for (const forwarding of forwardings) opened.add({ forwarding, forward: await open(sandbox, forwarding, context) });
    tell(opened.all, options, context);
    await stopped;
  });
}

/** What listens so far: all of it is closed, also when one of them cannot listen. */
class Opened implements AsyncDisposable {
  readonly all: Listening[] = [];

  add(listening: Listening): void {
    this.all.push(listening);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map(({ forward }) => forward.close()));
  }
}

async function open(sandbox: Sandbox, forwarding: Forwarding, { stderr }: CliContext): Promise<PortForward> {
  const { host, localPort, target } = forwarding;
  const onError = (error: unknown): void => void stderr.write(`${failureOf(error).line}\n`);
  try {
    return await sandbox.ports.forward(localPort, target, { host, onError });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new PlyboxError("input/invalid", `cannot listen on ${addressOf(host, localPort)}: ${code}`, { cause });
  }
}

function tell(all: readonly Listening[], { json }: ForwardOptions, { stdout }: CliContext): void {
  if (json) {
    writeJson(
      stdout,
      all.map(({ forward: { host, port }, forwarding: { target } }) => ({ host, port, target })),
    );
    return;
  }
  for (const { forward, forwarding } of all) {
    stdout.write(`${addressOf(forward.host, forward.port)} -> ${nameOf(forwarding.target)}\n`);
  }
}

const addressOf = (host: string, port: number): string => `${host.includes(":") ? `[${host}]` : host}:${port}`;

const nameOf = (target: Exclude<DialTarget, number>): string => ("socket" in target ? target.socket : `${target.port}`);
