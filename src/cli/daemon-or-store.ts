import type { Plybox } from "../client/index.ts";
import type { ConnectOptions } from "./connect.ts";
import { connect } from "./connect.ts";
import type { CliContext } from "./context.ts";
import { isCoded } from "./fail.ts";
import { loadOneShot } from "./load-daemon.ts";

type OneShot = Awaited<ReturnType<typeof loadOneShot>>;

/** The same question to either. */
export interface Asked<A, B> {
  readonly daemon: (daemon: Plybox) => Promise<A>;
  readonly store: (oneShot: OneShot) => Promise<B>;
}

/**
 * Asks the daemon, which knows what it has mounted; where none answers and none was named, the store itself is read in
 * this process.
 */
export async function withDaemonOrStore<A, B>(
  options: ConnectOptions,
  context: CliContext,
  { daemon, store }: Asked<A, B>,
): Promise<A | B> {
  const client = await connect(options, context);
  try {
    return await daemon(client);
  } catch (error) {
    const isNamed = options.socket !== undefined || options.url !== undefined;
    if (isNamed || !isCoded(error) || error.code !== "daemon/unreachable") throw error;
  }
  const oneShot = await loadOneShot(context);
  try {
    return await store(oneShot);
  } finally {
    await oneShot.close();
  }
}
