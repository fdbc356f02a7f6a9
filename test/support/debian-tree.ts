import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, readlink, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

const QUERY = `${["Package", "Architecture", "Essential", "Provides", "Pre-Depends", "Depends"].map((name) => `\${${name}}`).join("\t")}\n`;
const INFO = "/var/lib/dpkg/info";
const MERGED = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/** Made by maintainer scripts, so no package has it; `*` ends a prefix. */
const CONFIGURED = ["/etc/alternatives", "/etc/ld.so.cache", "/etc/pam.d", "/etc/debconf.conf", "/etc/shells"];
/** As a minimal installation leaves out. */
const LEFT_OUT = /^\/usr\/share\/(doc|man|locale|info|lintian|bug)\//;
const DIRECTORIES = [
  "dev",
  "proc",
  "sys",
  "run",
  "tmp",
  "var/tmp",
  "var/lib/apt/lists/partial",
  "var/cache/apt/archives/partial",
];

interface Installed {
  readonly name: string;
  readonly architecture: string;
  readonly essential: boolean;
  readonly provides: readonly string[];
  readonly needs: readonly string[];
}

/**
 * Makes the root file system of a minimal Debian out of what is installed on this one: its essential packages, `wanted`,
 * and what they need, with a package database that knows of them alone. Nothing is downloaded.
 */
export async function makeDebianTree(tree: string, wanted: readonly string[]): Promise<void> {
  for (const path of DIRECTORIES) await mkdir(join(tree, path), { recursive: true });
  for (const name of MERGED) {
    const link = await readlink(`/${name}`).catch(() => undefined);
    if (link === undefined) continue;
    await mkdir(join(tree, link), { recursive: true });
    await symlink(link, join(tree, name));
  }
  const packages = neededBy(await installed(), wanted);
  await copyFiles(tree, packages);
  await makeDatabase(tree, packages);
  for (const kind of ["passwd", "group"]) await cp(`/usr/share/base-passwd/${kind}.master`, join(tree, "etc", kind));
  await writeFile(join(tree, "etc/shadow"), "root:*:19000:0:99999:7:::\n", { mode: 0o640 });
}

async function installed(): Promise<readonly Installed[]> {
  const { stdout } = await run("dpkg-query", ["-W", "-f", QUERY], { maxBuffer: 64 * 1024 ** 2 });
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [name = "", architecture = "", essential, provides = "", ...relations] = line.split("\t");
      // Of alternatives what is installed is taken, and versions are right, since dpkg has seen to that.
      const needs = namesIn(relations.join());
      return { name, architecture, essential: essential === "yes", provides: namesIn(provides), needs };
    });
}

const namesIn = (relations: string): string[] =>
  relations.split(/[,|]/).flatMap((relation) => /^[^ :(]+/.exec(relation.trim()) ?? []);

function neededBy(all: readonly Installed[], wanted: readonly string[]): readonly Installed[] {
  const byName = new Map(all.flatMap((one) => one.provides.map((name): [string, Installed] => [name, one])));
  for (const one of all) byName.set(one.name, one);
  const chosen = new Set<Installed>();
  const choose = (one: Installed | undefined): void => {
    if (one === undefined || chosen.has(one)) return;
    chosen.add(one);
    for (const need of one.needs) choose(byName.get(need));
  };
  for (const one of all) if (one.essential) choose(one);
  for (const name of wanted) choose(byName.get(name));
  return [...chosen];
}

async function copyFiles(tree: string, packages: readonly Installed[]): Promise<void> {
  const { stdout } = await run("dpkg-query", ["-L", ...packages.map(qualified)], { maxBuffer: 64 * 1024 ** 2 });
  const listed = stdout.split("\n").filter((path) => path.startsWith("/") && path !== "/." && !LEFT_OUT.test(path));
  const merged = MERGED.map((name) => `/${name}`);
  const paths = [...new Set([...listed, ...CONFIGURED])].filter((path) => !merged.includes(path) && existsSync(path));
  const list = join(tree, "tmp/files");
  await writeFile(list, paths.map((path) => `${path.slice(1)}\n`).join(""));
  const pack =
    'cd / && tar -c --no-recursion -T "$1" etc/alternatives/* etc/pam.d/* | tar -x --keep-directory-symlink -C "$0"';
  await run("sh", ["-c", `${pack} && rm "$1"`, tree, list]);
}

async function makeDatabase(tree: string, packages: readonly Installed[]): Promise<void> {
  const info = join(tree, "var/lib/dpkg/info");
  await mkdir(info, { recursive: true });
  for (const directory of ["updates", "triggers", "alternatives"])
    await mkdir(join(tree, "var/lib/dpkg", directory), { recursive: true });
  // A package of which several architectures may be installed has its architecture in its files' names.
  const owners = new Set(packages.flatMap((one) => [one.name, qualified(one)]));
  for (const name of await readdir(INFO))
    if (owners.has(name.replace(/\.\w+$/, ""))) await cp(join(INFO, name), join(info, name));
  await cp(join(INFO, "format"), join(info, "format"));
  const names = new Set(packages.map(({ name, architecture }) => `${name} ${architecture}`));
  const status = (await readFile("/var/lib/dpkg/status", "utf8")).split("\n\n");
  const known = status.filter((entry) => names.has(`${field(entry, "Package")} ${field(entry, "Architecture")}`));
  await writeFile(join(tree, "var/lib/dpkg/status"), `${known.join("\n\n")}\n`);
}

const qualified = ({ name, architecture }: Installed): string => `${name}:${architecture}`;
const field = (entry: string, name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(entry)?.[1] ?? "";
