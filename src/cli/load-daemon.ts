import { againAsRoot } from "./again-as-root.ts";
import type { CliContext } from "./context.ts";

/**
 * What runs in this process when no daemon is asked. It is loaded only when a command needs it: the packages below it
 * take longer to load than most commands take to run.
 */
export async function loadOneShot(context: CliContext) {
  await againAsRoot(context);
  const [{ loadConfig }, { openOneShot }] = await Promise.all([
    import("../daemon/config.ts"),
    import("../daemon/one-shot.ts"),
  ]);
  return await openOneShot(loadConfig(context.env));
}

/** What makes layers of Dockerfiles in this process. */
export async function loadDockerfileBuilds(context: CliContext) {
  await againAsRoot(context);
  const [{ loadConfig }, { buildLayerOfDockerfile }] = await Promise.all([
    import("../daemon/config.ts"),
    import("../daemon/dockerfile-builds.ts"),
  ]);
  const config = loadConfig(context.env);
  return (name: string, request: Parameters<typeof buildLayerOfDockerfile>[2]) =>
    buildLayerOfDockerfile(config, name, request);
}

/** What signs with a key of this machine. Throws `input/invalid` for a file that holds none. */
export async function loadSigner(path: string) {
  const { openSigner } = await import("../daemon/signer.ts");
  return await openSigner(path);
}
