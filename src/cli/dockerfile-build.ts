import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { PlyboxError } from "../model/errors.ts";
import { parseLayerName } from "../model/ids.ts";
import type { CliContext } from "./context.ts";
import type { BuildOptions } from "./layer-build.ts";
import { packingOf, showBuilt } from "./layer-build.ts";
import { loadDockerfileBuilds } from "./load-daemon.ts";
import { BuildReport } from "./render/build-report.ts";
import { interruptible } from "./stdio/interruptible.ts";

export interface DockerfileOptions extends BuildOptions {
  /** A path, or `-` for stdin. */
  readonly dockerfile: string;
  readonly context?: string;
  readonly buildArg?: readonly (readonly [name: string, value: string])[];
  readonly target?: string;
  readonly cache?: boolean;
  readonly memoryLimit?: number;
}

/** Builds in this process, as the other layers are: its sandboxes end with it. */
export async function buildDockerfile(name: string, options: DockerfileOptions, context: CliContext): Promise<void> {
  const parsed = parseLayerName(name, "name");
  const { dockerfile, buildArg = [], target, memoryLimit, replace } = options;
  const path = dockerfile === "-" ? undefined : resolve(context.cwd(), dockerfile);
  const text = path === undefined ? await readStdin(context) : await readDockerfile(path);
  const directory = directoryOf(options, path, context);
  await interruptible(context, async (signal) => {
    const build = await loadDockerfileBuilds(context);
    const report = new BuildReport(parsed, context, options);
    const { manifest, warnings } = await build(parsed, {
      input: { directory, text, ...(path !== undefined && { path }) },
      source: path ?? "stdin",
      buildArgs: Object.fromEntries(buildArg),
      ...(target !== undefined && { target }),
      ...{ noCache: options.cache === false, replace: replace === true, packing: packingOf(options), signal },
      ...(memoryLimit !== undefined && { limits: { memoryBytes: memoryLimit } }),
      imageDirectory: directory ?? context.cwd(),
      onProgress: (progress) => report.update(progress),
    }).finally(() => report[Symbol.dispose]());
    showBuilt(manifest, warnings, options, context);
  });
}

/** A Dockerfile that comes by itself has nothing to copy where no directory is named. */
function directoryOf(options: DockerfileOptions, path: string | undefined, { cwd }: CliContext): string | null {
  if (options.context !== undefined) return resolve(cwd(), options.context);
  return path === undefined ? null : dirname(path);
}

async function readDockerfile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const message = `${JSON.stringify(path)} cannot be read: ${(cause as Error).message}`;
    throw new PlyboxError("input/invalid", message, { field: "--dockerfile", cause });
  }
}

async function readStdin({ stdin }: CliContext): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString();
}
