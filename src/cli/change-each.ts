import type { Plybox, Sandbox, SandboxView } from "../client/index.ts";
import { masked } from "../model/printable.ts";
import type { ConnectOptions } from "./connect.ts";
import { connect } from "./connect.ts";
import type { CliContext } from "./context.ts";
import { isCoded } from "./fail.ts";
import { writeJson } from "./render/json.ts";

export interface ChangeOptions extends ConnectOptions {
  readonly json?: true;
}

/** What became of one sandbox that was to be changed. */
type Change = { readonly sandbox: string } & (
  | { readonly view: SandboxView }
  | { readonly error: { readonly code: string; readonly message: string } }
);

/** Changes each of the sandboxes and prints its name; one that cannot be changed does not keep the others. */
export async function changeEach(
  refs: readonly string[],
  options: ChangeOptions,
  context: CliContext,
  change: (sandbox: Sandbox) => Promise<SandboxView>,
): Promise<void> {
  const plybox = await connect(options, context);
  const changes = await Promise.all([...new Set(refs)].map((ref) => changeOne(plybox, ref, change)));
  if (changes.some((each) => "error" in each)) context.exitCode = 125;
  if (options.json) {
    writeJson(context.stdout, changes);
    return;
  }
  for (const each of changes) {
    if ("view" in each) context.stdout.write(`${each.sandbox}\n`);
    else context.stderr.write(`plybox: ${each.sandbox}: ${masked(each.error.message)} (${each.error.code})\n`);
  }
}

async function changeOne(
  plybox: Plybox,
  ref: string,
  change: (sandbox: Sandbox) => Promise<SandboxView>,
): Promise<Change> {
  try {
    return { sandbox: ref, view: await change(await plybox.get(ref)) };
  } catch (error) {
    if (!isCoded(error) || error.code === "daemon/unreachable") throw error;
    return { sandbox: ref, error: { code: error.code, message: error.message } };
  }
}
