import type { Command } from "commander";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed, repeated } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { parseDuration } from "../values/duration.ts";
import { oneOf } from "../values/one-of.ts";
import { parsePort } from "../values/port.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

interface PortUrlOptions extends ConnectOptions {
  readonly expires: number;
  readonly path?: string;
  readonly method?: readonly (typeof METHODS)[number][];
  readonly json?: true;
}

export function definePortUrl(program: Command, context: CliContext): void {
  const command = program
    .command("port-url")
    .argument("<sandbox>", "id or name")
    .argument("<port>", "port inside")
    .addOption(parsed("--expires <time>", "how long it is taken", parseDuration).default(3_600_000, "1h"))
    .option("--path <path>", "what it opens, with what is below it (default: /)")
    .addOption(repeated("--method <method>", "what it may be used for (default: GET and HEAD)", oneOf(METHODS)))
    .addOption(jsonOption("print the address with its parts as JSON"));
  connectOptions(command).action(async (ref: string, port: string, options: PortUrlOptions) => {
    const { path, method, expires } = options;
    const sandbox = await (await connect(options, context)).get(ref);
    const signed = await sandbox.ports.signUrl({
      port: parsePort(port),
      expiresInSeconds: Math.max(1, Math.round(expires / 1000)),
      ...(path !== undefined && { path }),
      ...(method !== undefined && { methods: [...method] }),
    });
    if (options.json) writeJson(context.stdout, signed);
    else context.stdout.write(`${signed.url ?? signed.path}\n`);
  });
}
