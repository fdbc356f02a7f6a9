import type { Command } from "commander";
import type { KeyView, NewKey } from "../../client/index.ts";
import { parseSandboxName } from "../../model/ids.ts";
import type { Scope } from "../../model/principal.ts";
import { SCOPES } from "../../model/principal.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, parsed, repeated } from "../options.ts";
import { formatAge } from "../render/age.ts";
import { writeJson } from "../render/json.ts";
import type { Paint } from "../render/style.ts";
import { paintFor } from "../render/style.ts";
import type { Cell } from "../render/table.ts";
import { renderTable } from "../render/table.ts";
import { parseDuration } from "../values/duration.ts";
import { oneOf } from "../values/one-of.ts";

interface JsonOptions extends ConnectOptions {
  readonly json?: true;
}

interface CreateOptions extends JsonOptions {
  readonly tenant?: string;
  readonly scope?: readonly Scope[];
  readonly expires?: number;
}

export function defineKey(program: Command, context: CliContext): void {
  const key = program.command("key");
  defineCreate(key, context);
  defineLs(key, context);
  defineRevoke(key, context);
}

function defineCreate(key: Command, context: CliContext): void {
  const command = key
    .command("create")
    .summary("make a key")
    .description("Make an API key and print it. It is shown this once: the daemon keeps a digest of it alone.")
    .argument("<name>", "what it is called in the audit log: a-z, 0-9 and -")
    .option("--tenant <name>", "whose it is (default: your own tenant)")
    .addOption(
      repeated("--scope <scope>", `what it may do: ${SCOPES.join(", ")} (default: all but admin)`, oneOf(SCOPES)),
    )
    .addOption(
      parsed("--expires <time>", "how long it is taken, such as 30d (default: until it is revoked)", parseDuration),
    )
    .addOption(jsonOption("print the key with its secret as JSON"));
  connectOptions(command).action(async (name: string, options: CreateOptions) => {
    const plybox = await connect(options, context);
    const key = await plybox.keys.create(keyOf(name, options, context.now()));
    if (options.json) writeJson(context.stdout, key);
    else context.stdout.write(`${key.secret}\n`);
  });
}

function keyOf(name: string, { tenant, scope, expires }: CreateOptions, now: Date): NewKey {
  return {
    name: parseSandboxName(name, "name"),
    scopes: scope ?? SCOPES.filter((each) => each !== "admin"),
    ...(tenant !== undefined && { tenant: parseSandboxName(tenant, "--tenant") }),
    ...(expires !== undefined && { expiresAt: new Date(now.getTime() + expires) }),
  };
}

function defineLs(key: Command, context: CliContext): void {
  const command = key.command("ls").summary("list keys").addOption(jsonOption("print the keys as JSON"));
  connectOptions(command).action(async (options: JsonOptions) => {
    const keys = await (await connect(options, context)).keys.list();
    if (options.json) writeJson(context.stdout, keys);
    else context.stdout.write(keyTable(keys, context.now(), paintFor(context, context.stdout)));
  });
}

function defineRevoke(key: Command, context: CliContext): void {
  const command = key
    .command("revoke")
    .summary("refuse keys from now on")
    .argument("<ids...>", "ids of keys")
    .addOption(jsonOption("print the keys as JSON"));
  connectOptions(command).action(async (ids: readonly string[], options: JsonOptions) => {
    const plybox = await connect(options, context);
    const revoked: KeyView[] = [];
    for (const id of ids) revoked.push(await plybox.keys.revoke(id));
    if (options.json) writeJson(context.stdout, revoked);
    else context.stdout.write(revoked.map(({ id }) => `${id}\n`).join(""));
  });
}

function keyTable(keys: readonly KeyView[], now: Date, paint: Paint): string {
  const rows = keys.map((key) => [
    key.id,
    key.name,
    key.tenant,
    stateOf(key, now),
    formatAge(new Date(key.createdAt), now),
    key.lastUsedAt === null ? "never" : formatAge(new Date(key.lastUsedAt), now),
    key.scopes.join(" "),
  ]);
  const columns = [
    { title: "ID" },
    { title: "NAME" },
    { title: "TENANT" },
    { title: "STATE" },
    { title: "AGE", align: "right" },
    { title: "USED", align: "right" },
    { title: "SCOPES" },
  ] as const;
  return renderTable(columns, rows, paint);
}

function stateOf({ revokedAt, expiresAt }: KeyView, now: Date): Cell {
  if (revokedAt !== null) return { text: "revoked", style: "red" };
  if (expiresAt !== null && new Date(expiresAt) <= now) return { text: "expired", style: "red" };
  return { text: "valid", style: "green" };
}
