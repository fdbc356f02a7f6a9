import { lstatSync, readdirSync } from "node:fs";
import { lstat, mkdir, readlink, realpath, symlink } from "node:fs/promises";
import { resolve } from "node:path";
import type { Bind } from "../model/launch-plan.ts";
import { copyPublic } from "./copy-public.ts";
import { makeSkeleton } from "./skeleton.ts";

/** Raised when a tree that was made before differs from what this code makes from the same inputs. */
const GENERATION = 2;

/** What may lead into /usr, or be a directory of its own on a machine where /usr is not merged. */
const PROGRAM_DIRECTORIES = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/** What programs read in /etc that is the same for everybody; `*` ends a prefix. Nothing that names users or secrets. */
const PUBLIC_FILES = [
  ...["ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld-musl-*", "alternatives"],
  ...["ssl/certs", "ssl/openssl.cnf", "ca-certificates", "ca-certificates.conf", "crypto-policies"],
  ...["pki/ca-trust", "pki/tls/certs", "pki/tls/cert.pem", "pki/tls/openssl.cnf"],
  ...["os-release", "debian_version", "localtime", "timezone", "login.defs", "shells"],
  ...["profile", "bash.bashrc", "inputrc", "terminfo", "magic", "magic.mime", "mime.types"],
  ...["protocols", "services", "gai.conf", "host.conf", "fonts"],
  ...["python3*", "java*", "perl", "R"],
];

/** Each path that was read, with what tells that it has changed. */
export type HostInputs = ReadonlyMap<string, string>;

export interface HostTree {
  readonly binds: readonly Bind[];
  readonly inputs: HostInputs;
}

/**
 * Makes the root file system that shows a machine's own programs: its /usr comes as a bind, /etc as a copy of what is
 * public, the rest is generated and empty. `machine` goes before each absolute path that is read; empty for this one.
 */
export async function makeHostTree(machine: string, tree: string): Promise<HostTree> {
  const inputs = new Map<string, string>([["generation", String(GENERATION)]]);
  for (const path of watchedPaths(machine)) inputs.set(path, stamp(path));
  const hasBash = await exists(`${machine}/usr/bin/bash`);
  await makeSkeleton(tree, hasBash ? "/bin/bash" : "/bin/sh");
  await symlink("/run", `${tree}/var/run`);
  await symlink("/proc/self/mounts", `${tree}/etc/mtab`);
  const onRead = async (path: string) => void inputs.set(path, stamp(path));
  for (const path of publicPaths(machine))
    await copyPublic({ from: `${machine}/etc`, to: `${tree}/etc`, onRead }, path);
  return { binds: await makeProgramDirectories(machine, tree), inputs };
}

/** Whether a tree made from `inputs` is what would be made now. One lstat a file, for hundreds of files: under 1 ms. */
export function isCurrent(machine: string, inputs: HostInputs): boolean {
  if (inputs.get("generation") !== String(GENERATION)) return false;
  for (const path of watchedPaths(machine)) if (!inputs.has(path)) return false;
  for (const [path, known] of inputs) if (path !== "generation" && stamp(path) !== known) return false;
  return true;
}

async function makeProgramDirectories(machine: string, tree: string): Promise<Bind[]> {
  const binds = [bind(await realpath(`${machine}/usr`), "/usr")];
  for (const name of PROGRAM_DIRECTORIES) {
    const source = `${machine}/${name}`;
    const stats = await lstat(source).catch(() => undefined);
    const link = stats?.isSymbolicLink() ? await readlink(source) : undefined;
    if (link !== undefined && resolve("/", link).startsWith("/usr/")) {
      await symlink(resolve("/", link).slice(1), `${tree}/${name}`);
    } else if (stats !== undefined) {
      await mkdir(`${tree}/${name}`, { mode: 0o755 });
      binds.push(bind(await realpath(source), `/${name}`));
    }
  }
  return binds;
}

const bind = (source: string, target: string): Bind => ({ source, target, readOnly: true, owner: "keep" });

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

function publicPaths(machine: string): string[] {
  const names = readdirSync(`${machine}/etc`).sort();
  return PUBLIC_FILES.flatMap((path) =>
    path.endsWith("*") ? names.filter((name) => name.startsWith(path.slice(0, -1))) : [path],
  );
}

/** Absolute paths whose coming, going or changing changes the tree; what is below them is added while it is read. */
function watchedPaths(machine: string): string[] {
  const programs = [...PROGRAM_DIRECTORIES, "usr/bin/bash"].map((name) => `${machine}/${name}`);
  return [...programs, ...publicPaths(machine).map((path) => `${machine}/etc/${path}`)];
}

/** The change time covers content, mode and owner, and of a directory its entries. */
function stamp(path: string): string {
  try {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return stats === undefined ? "absent" : `${stats.ino}:${stats.ctimeNs}`;
  } catch {
    // ENOTDIR: something else is where a directory is looked for.
    return "absent";
  }
}
