import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { NewWebhook, WebhookView } from "../../client/index.ts";
import { PlyboxError } from "../../model/errors.ts";
import { masked } from "../../model/printable.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption, repeated } from "../options.ts";
import { writeJson } from "../render/json.ts";
import type { Paint } from "../render/style.ts";
import { paintFor } from "../render/style.ts";
import type { Cell } from "../render/table.ts";
import { renderTable } from "../render/table.ts";

interface JsonOptions extends ConnectOptions {
  readonly json?: true;
}

interface AddOptions extends JsonOptions {
  readonly type?: readonly string[];
  readonly sandbox?: string;
  readonly label?: readonly string[];
  readonly secretFile?: string;
}

export function defineWebhook(program: Command, context: CliContext): void {
  const webhook = program.command("webhook");
  defineAdd(webhook, context);
  defineLs(webhook, context);
  defineRm(webhook, context);
  defineTest(webhook, context);
  defineEnable(webhook, context);
}

function defineAdd(webhook: Command, context: CliContext): void {
  const command = webhook
    .command("add")
    .summary("send events to an address")
    .description("Send events to an address from now on, and print the secret that signs them. It is shown this once.")
    .argument("<url>", "http:// or https://")
    .addOption(repeated("--type <type>", "only events of this type, such as exec.ended or exec.*", String))
    .option("--sandbox <sandbox>", "only what happens to this one")
    .addOption(repeated("--label <label>", "only sandboxes with this label: KEY or KEY=VALUE", String))
    .option("--secret-file <path>", "file with the secret, whsec_ and base64 (default: it is made)")
    .addOption(jsonOption("print the webhook with its secret as JSON"));
  connectOptions(command).action(async (url: string, options: AddOptions) => {
    const plybox = await connect(options, context);
    const made = await plybox.webhooks.create(webhookOf(url, options));
    if (options.json) writeJson(context.stdout, made);
    else context.stdout.write(`${made.id}\n${made.secret}\n`);
  });
}

function webhookOf(url: string, { type, sandbox, label, secretFile }: AddOptions): NewWebhook {
  return {
    url,
    ...(type !== undefined && { types: [...type] }),
    ...(sandbox !== undefined && { sandbox }),
    ...(label !== undefined && { labels: [...label] }),
    ...(secretFile !== undefined && { secret: readSecret(secretFile) }),
  };
}

/** A secret is never an argument: every user of the machine sees those. */
function readSecret(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    throw new PlyboxError("input/invalid", `${path} cannot be read`, { field: "--secret-file", cause });
  }
}

function defineLs(webhook: Command, context: CliContext): void {
  const command = webhook
    .command("ls")
    .description("List webhooks, and how it goes with each.")
    .addOption(jsonOption("print them as JSON"));
  connectOptions(command).action(async (options: JsonOptions) => {
    const webhooks = await (await connect(options, context)).webhooks.list();
    if (options.json) writeJson(context.stdout, webhooks);
    else context.stdout.write(webhookTable(webhooks, paintFor(context, context.stdout)));
  });
}

function webhookTable(webhooks: readonly WebhookView[], paint: Paint): string {
  const rows = webhooks.map(({ id, url, state, types, deliveredId, failures, lastError }) => [
    id,
    stateCell(state),
    `${deliveredId}`,
    `${failures}`,
    types?.join(",") ?? "all",
    url,
    lastError ?? "-",
  ]);
  const columns = [
    { title: "ID" },
    { title: "STATE" },
    { title: "UP TO", align: "right" },
    { title: "FAILURES", align: "right" },
    { title: "TYPES" },
    { title: "URL" },
    { title: "LAST ERROR" },
  ] as const;
  return renderTable(columns, rows, paint);
}

function stateCell(state: WebhookView["state"]): Cell {
  return { text: state, style: state === "active" ? "green" : state === "failing" ? "yellow" : "red" };
}

function defineRm(webhook: Command, context: CliContext): void {
  const command = webhook.command("rm").description("Send nothing more to these.").argument("<webhook...>", "ids");
  connectOptions(command).action(async (ids: string[], options: ConnectOptions) => {
    const plybox = await connect(options, context);
    for (const id of ids) {
      await plybox.webhooks.remove(id);
      context.stdout.write(`${id}\n`);
    }
  });
}

function defineTest(webhook: Command, context: CliContext): void {
  const command = webhook
    .command("test")
    .description("Send a message of the type webhook.test now, once, and say what the receiver answered.")
    .argument("<webhook>", "id")
    .addOption(jsonOption("print the answer as JSON"));
  connectOptions(command).action(async (id: string, options: JsonOptions) => {
    const answer = await (await connect(options, context)).webhooks.test(id);
    if (!answer.ok) context.exitCode = 125;
    if (options.json) writeJson(context.stdout, answer);
    else if (answer.ok) context.stdout.write(`HTTP ${answer.status}\n`);
    else context.stderr.write(`plybox: ${masked(answer.problem ?? "no answer")}\n`);
  });
}

function defineEnable(webhook: Command, context: CliContext): void {
  const command = webhook
    .command("enable")
    .description("Try again now, also one that was disabled, and go on where it was.")
    .argument("<webhook>", "id");
  connectOptions(command).action(async (id: string, options: ConnectOptions) => {
    const { state } = await (await connect(options, context)).webhooks.enable(id);
    context.stdout.write(`${state}\n`);
  });
}
