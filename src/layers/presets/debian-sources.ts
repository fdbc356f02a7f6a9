import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { findProgram, PROGRAM_ENVIRONMENT } from "../programs.ts";

const DEFAULT_MIRROR = "http://deb.debian.org/debian";
const DEFAULT_SECURITY = "http://deb.debian.org/debian-security";
const STANDARD_SUITE = "bookworm";
/** Those that have no security updates of their own. */
const ROLLING: ReadonlySet<string> = new Set(["sid", "unstable", "testing", "experimental"]);
const URI = /\bhttps?:\/\/[^\s\]]+/g;
/** How this machine reaches its mirrors, which a new system's apt does not know. */
const REACH = /^Acquire::(?:https?|ftp)::|^Acquire::(?:Retries|Check-|ForceIPv)/;

/** Where Debian's packages come from. */
export interface DebianSources {
  readonly suite: string;
  /** Lines as `sources.list` has them. */
  readonly lines: readonly string[];
  readonly hosts: readonly string[];
  /** Settings of apt. */
  readonly options: readonly string[];
}

/** The mirrors of this machine's apt, where it is a Debian, and how it reaches them. */
export async function debianSources(etc = "/etc"): Promise<DebianSources> {
  const uris = await aptUris(join(etc, "apt"));
  const mirror = uris.find((uri) => /\/debian$/.test(uri)) ?? DEFAULT_MIRROR;
  const security = uris.find((uri) => /\/debian-security$/.test(uri)) ?? DEFAULT_SECURITY;
  const suite = (await codename(etc)) ?? STANDARD_SUITE;
  const lines = ROLLING.has(suite)
    ? [`deb ${mirror} ${suite} main`]
    : [
        ...[`deb ${mirror} ${suite} main`, `deb ${mirror} ${suite}-updates main`],
        `deb ${security} ${suite}-security main`,
      ];
  const hosts = [...new Set([mirror, security].map((uri) => new URL(uri).host))];
  return { suite, lines, hosts, options: await aptOptions() };
}

async function aptUris(directory: string): Promise<readonly string[]> {
  const parts = join(directory, "sources.list.d");
  const names = (await readdir(parts).catch(() => [])).filter((name) => /\.(?:list|sources)$/.test(name));
  const files = [join(directory, "sources.list"), ...names.sort().map((name) => join(parts, name))];
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")));
  const lines = texts.flatMap((text) => text.split("\n")).filter((line) => !/^\s*#/.test(line));
  return lines.flatMap((line) => line.match(URI) ?? []).map((uri) => uri.replace(/\/+$/, ""));
}

async function codename(etc: string): Promise<string | undefined> {
  const text = await readFile(join(etc, "os-release"), "utf8").catch(() => "");
  return /^ID=debian$/m.test(text) ? /^VERSION_CODENAME=([a-z]+)$/m.exec(text)?.[1] : undefined;
}

async function aptOptions(): Promise<readonly string[]> {
  const program = await findProgram("apt-config");
  if (program === undefined) return [];
  const { stdout } = await promisify(execFile)(program, ["dump"], { env: PROGRAM_ENVIRONMENT });
  return stdout.split("\n").filter((line) => REACH.test(line) && !line.endsWith(' "";'));
}
