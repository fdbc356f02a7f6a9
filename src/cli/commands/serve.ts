import { setFlagsFromString } from "node:v8";
import type { Command } from "commander";
import { againAsRoot } from "../again-as-root.ts";
import type { CliContext } from "../context.ts";
import { jsonOption } from "../options.ts";
import { writeJson } from "../render/json.ts";
import { Interrupts } from "../stdio/interrupts.ts";

/**
 * The buffers of one fast transfer come near to V8's limit for so small a heap, and then it marks all of the heap every
 * few dozen milliseconds, which takes several times what the transfer does. With room for four times the heap it does not.
 */
const HEAP_GROWTH = "--heap-growing-percent=400";

interface ServeOptions {
  readonly config?: string;
  readonly stateDir?: string;
  readonly runDir?: string;
  readonly socket?: string;
  readonly listen?: string;
  readonly json?: true;
}

export function defineServe(program: Command, context: CliContext): void {
  program
    .command("serve")
    .option("--config <file>", "settings in TOML (default: $PLYBOX_CONFIG)")
    .option(
      "--state-dir <path>",
      "what outlives a reboot (default: $PLYBOX_STATE_DIR or /var/lib/plybox; without root the user's own)",
    )
    .option("--run-dir <path>", "what does not (default: $PLYBOX_RUN_DIR or /run/plybox; without root the user's own)")
    .option("--socket <path>", "Unix socket (default: $PLYBOX_SOCKET or plybox.sock in the run directory)")
    .option("--listen <host:port>", "also listen on TCP, where a bearer token is asked for (default: $PLYBOX_LISTEN)")
    .addOption(jsonOption("print the addresses as JSON when ready"))
    .action(async (options: ServeOptions) => {
      await serve(options, context);
    });
}

/** Runs until SIGINT or SIGTERM; sandboxes stay when it goes. */
async function serve(options: ServeOptions, context: CliContext): Promise<void> {
  const env = { ...context.env, ...environmentOf(options) };
  await againAsRoot(context, { env, lasting: true });
  const stopping = deferred();
  const leaving = deferred();
  // Who asks twice does not want to wait for open requests.
  using _interrupts = new Interrupts(context.interrupts, (_signal, count) =>
    (count > 1 ? leaving : stopping).resolve(),
  );
  const [{ loadConfig }, { startDaemon }] = await Promise.all([
    import("../../daemon/config.ts"),
    import("../../daemon/daemon.ts"),
  ]);
  setFlagsFromString(HEAP_GROWTH);
  const daemon = await startDaemon(loadConfig(env));
  if (options.json) writeJson(context.stdout, { urls: daemon.urls });
  else context.stdout.write(`plybox listens on ${daemon.urls.join(" and ")}\n`);
  await stopping.promise;
  await Promise.race([daemon.stop(), leaving.promise]);
}

/** An option says the same as its variable, and more strongly. */
function environmentOf({ config, stateDir, runDir, socket, listen }: ServeOptions): NodeJS.ProcessEnv {
  return {
    ...(config !== undefined && { PLYBOX_CONFIG: config }),
    ...(stateDir !== undefined && { PLYBOX_STATE_DIR: stateDir }),
    ...(runDir !== undefined && { PLYBOX_RUN_DIR: runDir }),
    ...(socket !== undefined && { PLYBOX_SOCKET: socket }),
    ...(listen !== undefined && { PLYBOX_LISTEN: listen }),
  };
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
