import { PlyboxError } from "../model/errors.ts";
import type { DockerfileOptions } from "./dockerfile-build.ts";
import type { BuildOptions } from "./layer-build.ts";

/** What only means something beside `--dockerfile`. */
const OF_DOCKERFILES = ["context", "build-arg", "target", "memory-limit"] as const;

/**
 * Whether it is said once what a layer is made of, and nothing that goes with another source.
 * @throws PlyboxError `input/invalid`
 */
export function checkSource(options: BuildOptions & Partial<DockerfileOptions>, isPreset: boolean): void {
  const { fromDir, fromTar, from, fromSandbox, dockerfile, parent } = options;
  const sources = [fromDir, fromTar, from, fromSandbox, dockerfile].filter((each) => each !== undefined);
  if (isPreset && (sources.length > 0 || parent !== undefined)) {
    throw new PlyboxError("input/invalid", "it has its own packages, and is made of nothing else", { field: "name" });
  }
  if (!isPreset && sources.length !== 1) {
    const all = "--from-dir, --from-tar, --from, --from-sandbox and --dockerfile";
    throw new PlyboxError("input/invalid", `give what the layer is made of: one of ${all}`);
  }
  checkCompanions(options);
}

function checkCompanions(options: BuildOptions & Partial<DockerfileOptions>): void {
  const {
    from,
    fromSandbox,
    checkpoint,
    dockerfile,
    parent,
    platform,
    authfile,
    context,
    buildArg,
    target,
    memoryLimit,
    cache,
  } = options;
  const refuse = (option: string, message: string): never => {
    throw new PlyboxError("input/invalid", message, { field: option });
  };
  if (from !== undefined && parent !== undefined) refuse("--parent", "an image stands on nothing");
  if (dockerfile !== undefined && parent !== undefined) refuse("--parent", "FROM says what a Dockerfile stands on");
  if (fromSandbox !== undefined && parent !== undefined) refuse("--parent", "it is what the sandbox stands on");
  if (fromSandbox === undefined && checkpoint !== undefined) refuse("--checkpoint", "goes with --from-sandbox");
  if (from === undefined && platform !== undefined) refuse("--platform", "goes with --from");
  if (from?.transport !== "docker" && authfile !== undefined) refuse("--authfile", "goes with --from docker://");
  if (dockerfile !== undefined) return;
  const given = [context, buildArg, target, memoryLimit].findIndex((each) => each !== undefined);
  const unused = cache === false ? "no-cache" : OF_DOCKERFILES[given];
  if (unused !== undefined) refuse(`--${unused}`, "goes with --dockerfile");
}
