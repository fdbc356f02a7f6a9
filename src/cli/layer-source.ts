import type { ConnectOptions } from "./connect.ts";
import { connect } from "./connect.ts";
import type { CliContext } from "./context.ts";
import { isCoded } from "./fail.ts";
import { loadOneShot } from "./load-daemon.ts";
import type { LayerDescription } from "./render/layer.ts";

export interface LayerOptions extends ConnectOptions {
  readonly json?: true;
}

/** Who is asked about layers. */
export interface LayerSource {
  list(): Promise<readonly LayerDescription[]>;
  get(name: string): Promise<LayerDescription>;
  remove(name: string): Promise<void>;
}

/**
 * Asks the daemon, which knows what it has mounted; where none answers and none was named, the store itself is read in
 * this process.
 */
export async function withLayers<T>(
  options: LayerOptions,
  context: CliContext,
  ask: (source: LayerSource) => Promise<T>,
): Promise<T> {
  const { layers } = await connect(options, context);
  try {
    return await ask(layers);
  } catch (error) {
    const isNamed = options.socket !== undefined || options.url !== undefined;
    if (isNamed || !isCoded(error) || error.code !== "daemon/unreachable") throw error;
  }
  return await withStore(context, ask);
}

async function withStore<T>(context: CliContext, ask: (source: LayerSource) => Promise<T>): Promise<T> {
  const oneShot = await loadOneShot(context);
  try {
    const { layers } = oneShot;
    return await ask({
      list: () => layers.list(),
      get: (name) => layers.inspect(name),
      remove: (name) => layers.remove(name),
    });
  } finally {
    await oneShot.close();
  }
}
