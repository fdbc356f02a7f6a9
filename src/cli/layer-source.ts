import type { ConnectOptions } from "./connect.ts";
import type { CliContext } from "./context.ts";
import { withDaemonOrStore } from "./daemon-or-store.ts";
import type { LayerDescription } from "./render/layer.ts";

export interface LayerOptions extends ConnectOptions {
  readonly json?: true;
}

/** Who is asked about layers. */
export interface LayerSource {
  list(): Promise<readonly LayerDescription[]>;
  get(name: string): Promise<LayerDescription>;
  /** What has changed since that it was made on. */
  warnings(name: string): Promise<readonly string[]>;
  remove(name: string): Promise<void>;
}

/** Asks whoever `withDaemonOrStore` finds. */
export async function withLayers<T>(
  options: LayerOptions,
  context: CliContext,
  ask: (source: LayerSource) => Promise<T>,
): Promise<T> {
  return await withDaemonOrStore(options, context, {
    daemon: ({ layers }) =>
      ask({
        list: () => layers.list(),
        get: (name) => layers.get(name),
        warnings: async (name) => (await layers.get(name)).warnings ?? [],
        remove: (name) => layers.remove(name),
      }),
    store: ({ layers }) =>
      ask({
        list: () => layers.list(),
        get: (name) => layers.inspect(name),
        warnings: (name) => layers.warnings(name),
        remove: (name) => layers.remove(name),
      }),
  });
}
