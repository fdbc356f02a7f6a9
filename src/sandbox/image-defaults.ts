import type { ExecRequest } from "../model/exec.ts";
import { commandOf } from "../model/image-config.ts";
import type { LayerManifest } from "../model/layer.ts";
import type { Sandbox, SandboxSpec } from "../model/sandbox.ts";
import { newStartCommand } from "./start/start-status.ts";

type OfAnImage = Pick<Sandbox, "env" | "cwd" | "user" | "start">;

/** The sandbox with what the highest of its layers that was made of an image has for who does not say otherwise. */
export function onLayers<Wanted extends OfAnImage>(
  sandbox: Wanted,
  spec: Pick<SandboxSpec, "start">,
  layers: readonly Pick<LayerManifest, "config">[],
): Wanted {
  const config = layers.findLast((layer) => layer.config !== undefined)?.config;
  if (config === undefined) return sandbox;
  const command = commandOf(config);
  const isStarted = spec.start === undefined && command.length > 0;
  return {
    ...sandbox,
    env: { ...config.env, ...sandbox.env },
    ...{ cwd: config.workingDir, user: config.user },
    ...(isStarted && { start: newStartCommand({ command }) }),
  };
}

/** A command of the sandbox, with what the sandbox has where it says nothing. */
export function withDefaults(request: ExecRequest, { cwd, user }: Pick<Sandbox, "cwd" | "user">): ExecRequest {
  if (cwd === null && user === null) return request;
  return { ...(cwd !== null && { cwd }), ...(user !== null && { user }), ...request };
}
