import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PlyboxError } from "../../model/errors.ts";
import type { Platform, RegistryCredentials } from "../../model/image-source.ts";
import { requireProgram } from "../programs.ts";
import { runProgram } from "../run-program.ts";
import { hostPlatform } from "./platform.ts";

/** Where skopeo looks for what it trusts; without that file it refuses all images. */
const POLICY = "/etc/containers/policy.json";
const LOOK_EVERY_MS = 200;
/** Docker takes these for registries of this machine, which have no certificates. */
const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?\//;
const DEFAULT_REGISTRY = "docker.io";

export interface PullOptions {
  /** `[HOST/]NAME[:TAG|@DIGEST]` */
  readonly image: string;
  readonly platform: Platform | null;
  readonly credentials?: RegistryCredentials;
  /** As `skopeo login` makes it; where a user has one by default, otherwise. */
  readonly authFile?: string;
  /** For programs that speak to the network: proxies, certificates, and where a user's credentials are. */
  readonly environment: Readonly<Record<string, string>>;
  /** More is not kept: of a registry nobody knows how much it sends. */
  readonly mostBytes: number;
  readonly signal?: AbortSignal;
  readonly onBytes?: (bytes: number) => void;
}

/** How an image came. */
export interface Pulled {
  readonly host: string;
  readonly command: readonly string[];
}

/**
 * Brings an image from a registry into `target`, as it is there, by skopeo, which compares it with its digests.
 * @throws PlyboxError `image/pull-failed` with skopeo's complaint, `layer/too-large`, `host/missing`, `aborted`
 */
export async function pullImage(target: string, scratch: string, options: PullOptions): Promise<Pulled> {
  const { image, credentials, environment, mostBytes, signal, onBytes } = options;
  const program = await requireProgram("skopeo", "skopeo");
  await mkdir(scratch, { mode: 0o700 });
  const own = join(scratch, "auth.json");
  // In a file, since everybody on this machine may see a command line.
  if (credentials !== undefined) await writeFile(own, formatAuth(image, credentials), { mode: 0o600, flag: "wx" });
  const auth = credentials === undefined ? options.authFile : own;
  const insecure = LOOPBACK.test(image) ? ["--src-tls-verify=false"] : [];
  const trust = await stat(POLICY).then(
    () => [],
    // Whoever has no policy trusts whom the image is asked of.
    () => ["--insecure-policy"],
  );
  const full = new AbortController();
  const watch = setInterval(async () => {
    const bytes = await bytesIn(target);
    onBytes?.(bytes);
    if (bytes > mostBytes) full.abort();
  }, LOOK_EVERY_MS);
  try {
    await runProgram({
      program,
      args: [
        ...["--tmpdir", scratch, ...trust, ...platformArguments(options.platform ?? hostPlatform())],
        ...["copy", "--quiet", "--retry-times", "2", ...insecure],
        ...(auth === undefined ? [] : ["--src-authfile", auth]),
        ...[`docker://${image}`, `dir:${target}`],
      ],
      environment,
      signal: signal === undefined ? full.signal : AbortSignal.any([signal, full.signal]),
    });
  } catch (error) {
    if (full.signal.aborted && !signal?.aborted) throw tooLarge(mostBytes);
    throw pullFailed(image, error);
  } finally {
    clearInterval(watch);
    await rm(scratch, { recursive: true, force: true });
  }
  const bytes = await bytesIn(target);
  if (bytes > mostBytes) throw tooLarge(mostBytes);
  onBytes?.(bytes);
  return { host: hostOf(image), command: ["skopeo", "copy", `docker://${image}`] };
}

/** A name before the first `/` is a host where it could be no user of Docker's own registry. */
function hostOf(image: string): string {
  const [first = "", ...rest] = image.split("/");
  return rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : DEFAULT_REGISTRY;
}

function formatAuth(image: string, { username, password }: RegistryCredentials): string {
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  return JSON.stringify({ auths: { [hostOf(image)]: { auth } } });
}

const platformArguments = ({ os, architecture, variant }: Platform): readonly string[] => [
  ...["--override-os", os, "--override-arch", architecture],
  ...(variant === null ? [] : ["--override-variant", variant]),
];

async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(directory, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

const tooLarge = (mostBytes: number): PlyboxError =>
  new PlyboxError("layer/too-large", `the image is refused: it has more than the ${mostBytes} bytes that are allowed`);

/** Its log lines end in what went wrong. */
function pullFailed(image: string, error: unknown): unknown {
  if (!(error instanceof PlyboxError) || error.code !== "layer/build-failed") return error;
  const said = error.message.trim().split("\n").at(-1) ?? "";
  const [, quoted] = /msg="((?:[^"\\]|\\.)*)"/.exec(said) ?? [];
  const reason = quoted === undefined ? said : quoted.replaceAll('\\"', '"');
  return new PlyboxError("image/pull-failed", `docker://${image} cannot be pulled: ${reason}`, { cause: error });
}
