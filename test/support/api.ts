import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LayerStore } from "../../src/layers/layer-store.ts";
import { NativeLauncher } from "../../src/native/launcher.ts";
import { TestDaemon } from "./test-daemon.ts";

/** What the contract tests talk to, and all that they know of it. */
export interface ApiSubject extends AsyncDisposable {
  readonly socketPath: string;
  /** On the loopback address. */
  readonly port: number;
  readonly token: string;
  /** A layer that no sandbox of the tests uses and that may be removed. */
  readonly spareLayer: string;
}

const SPARE = "900-spare";

/** Starts the subject, a real daemon: the one place that says what it is. */
export async function startApi(): Promise<ApiSubject> {
  const daemon = new TestDaemon({ PLYBOX_LISTEN: "127.0.0.1:0" });
  await buildSpareLayer(daemon);
  const { urls } = await daemon.start();
  const port = Number(new URL(urls[1] ?? "").port);
  return {
    socketPath: daemon.config.socket,
    port,
    token: readFileSync(daemon.config.tokenFile, "utf8").trim(),
    spareLayer: SPARE,
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

async function buildSpareLayer({ directory, config }: TestDaemon): Promise<void> {
  const tree = join(directory, "tree");
  mkdirSync(tree);
  writeFileSync(join(tree, "spare"), "of no use\n");
  // Whether this kernel reads what is packed is tried there.
  const mountDirectory = join(directory, "tried");
  mkdirSync(mountDirectory);
  const mounter = new NativeLauncher({ private: true });
  const store = new LayerStore({
    ...{ storeDirectory: join(config.stateDir, "layers"), mountDirectory, mounter, log: console },
  });
  await store.make.fromDirectory(SPARE, tree);
  await mounter.close();
}
