import { existsSync, readdirSync, rmSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { UndoStack } from "../base/undo-stack.ts";
import type { DockerfileLayer, DockerfileRequest } from "../builds/build-dockerfile.ts";
import { buildDockerfile } from "../builds/build-dockerfile.ts";
import type { BuildParts } from "../builds/steps/step-sandbox.ts";
import { isMakerAlive, newMakerMark } from "../layers/maker-mark.ts";
import type { Config } from "./config.ts";
import { openEphemeral } from "./one-shot.ts";
import { readRealm } from "./rootless/realm.ts";

/**
 * Makes a layer of a Dockerfile. Its sandboxes are of a runtime of its own, under the daemon as under the command line: they
 * end with this process, even if it is killed, and what is left of them on the disk is swept by whoever comes next.
 * @throws as `openEphemeral` and `buildDockerfile`
 */
export async function buildLayerOfDockerfile(
  config: Config,
  name: string,
  request: DockerfileRequest,
): Promise<DockerfileLayer> {
  sweepBuilds(config);
  await using undo = new UndoStack();
  const workspace = join(buildsOf(config), newMakerMark());
  await mkdir(workspace, { recursive: true, mode: 0o700 });
  undo.push("remove what the build had on disk", () => rm(workspace, { recursive: true, force: true }));
  const { sandboxes, layers, places, close } = await openEphemeral(config, join(workspace, "uppers"));
  undo.push("close the runtime of the build", close);
  const { layerBounds: bounds, networkEnvironment: environment } = config;
  const marks = readRealm().kind === "machine" ? "trusted" : "user";
  const own = config.stateDir;
  const parts: BuildParts = { sandboxes, layers, places, marks, bounds, environment, workspace, own };
  return await buildDockerfile(parts, name, request);
}

const buildsOf = ({ stateDir }: Pick<Config, "stateDir">): string => join(stateDir, "builds");

/** Removes what builds of processes that have died left on the disk. */
export function sweepBuilds(config: Pick<Config, "stateDir">): void {
  const builds = buildsOf(config);
  for (const name of existsSync(builds) ? readdirSync(builds) : []) {
    if (!isMakerAlive(name)) rmSync(join(builds, name), { recursive: true, force: true });
  }
}
