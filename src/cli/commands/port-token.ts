import type { Command } from "commander";
import type { PortToken } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed } from "../options.ts";
import { formatAge } from "../render/age.ts";
import { writeJson } from "../render/json.ts";
import type { Paint } from "../render/style.ts";
import { paintFor } from "../render/style.ts";
import { renderTable } from "../render/table.ts";
import { parseDuration } from "../values/duration.ts";
import { parsePort } from "../values/port.ts";

interface JsonOptions extends ConnectOptions {
  readonly json?: true;
}

interface CreateOptions extends JsonOptions {
  readonly expires?: number;
}

export function definePortToken(program: Command, context: CliContext): void {
  const token = program.command("port-token");
  defineCreate(token, context);
  defineLs(token, context);
  defineRevoke(token, context);
}

function defineCreate(token: Command, context: CliContext): void {
  const command = token
    .command("create")
    .summary("make a token")
    .description("Make a token that opens one port, and print it. It is shown this once.")
    .argument("<sandbox>", "id or name")
    .argument("<port>", "port inside")
    .addOption(
      parsed("--expires <time>", "how long it is taken, such as 30d (default: until it is revoked)", parseDuration),
    )
    .addOption(jsonOption("print the token with its id as JSON"));
  connectOptions(command).action(async (ref: string, port: string, options: CreateOptions) => {
    const { expires } = options;
    const sandbox = await (await connect(options, context)).get(ref);
    const made = await sandbox.ports.createToken({
      port: parsePort(port),
      ...(expires !== undefined && { expiresInSeconds: Math.max(1, Math.round(expires / 1000)) }),
    });
    if (options.json) writeJson(context.stdout, made);
    else context.stdout.write(`${made.token}\n`);
  });
}

function defineLs(token: Command, context: CliContext): void {
  const command = token
    .command("ls")
    .summary("list tokens")
    .argument("<sandbox>", "id or name")
    .addOption(jsonOption("print the tokens as JSON"));
  connectOptions(command).action(async (ref: string, options: JsonOptions) => {
    const tokens = await (await (await connect(options, context)).get(ref)).ports.tokens();
    if (options.json) writeJson(context.stdout, tokens);
    else context.stdout.write(tokenTable(tokens, context.now(), paintFor(context, context.stdout)));
  });
}

function defineRevoke(token: Command, context: CliContext): void {
  const command = token
    .command("revoke")
    .summary("refuse tokens from now on")
    .argument("<sandbox>", "id or name")
    .argument("<ids...>", "ids of tokens");
  connectOptions(command).action(async (ref: string, ids: readonly string[], options: ConnectOptions) => {
    const { ports } = await (await connect(options, context)).get(ref);
    for (const id of ids) {
      await ports.revokeToken(id);
      context.stdout.write(`${id}\n`);
    }
  });
}

function tokenTable(tokens: readonly PortToken[], now: Date, paint: Paint): string {
  const rows = tokens.map(({ id, port, createdAt, expiresAt }) => [
    id,
    String(port),
    formatAge(new Date(createdAt), now),
    expiresAt ?? "never",
  ]);
  const columns = [
    { title: "ID" },
    { title: "PORT", align: "right" },
    { title: "AGE", align: "right" },
    { title: "EXPIRES" },
  ] as const;
  return renderTable(columns, rows, paint);
}
