import { lstat, symlink, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadEntry } from "tar";
import { extract } from "tar";
import { PlyboxError } from "../../model/errors.ts";

const PLAIN: ReadonlySet<string> = new Set(["File", "OldFile", "ContiguousFile", "Directory", "Link"]);

interface LateLink {
  readonly path: string;
  readonly target: string;
}

/**
 * Unpacks a sandbox's archive below a directory of this machine, trusting nothing in it. Symlinks are made when all else
 * has been written, so that nothing is written through one; what leads out ends it. Devices, FIFOs and set-user-id bits
 * are left out, and everything belongs to the caller. `skip` is told of what is left out.
 */
export async function unpack(
  archive: AsyncIterable<Uint8Array>,
  directory: string,
  skip: (path: string) => void,
): Promise<void> {
  const links: LateLink[] = [];
  const sink = extract({
    cwd: directory,
    strict: true,
    preserveOwner: false,
    filter(path, entry) {
      const { type, linkpath = "" } = entry as ReadEntry;
      if (type === "SymbolicLink") links.push({ path, target: linkpath });
      else if (!PLAIN.has(type)) skip(path);
      return PLAIN.has(type);
    },
    onReadEntry(entry) {
      if (entry.mode !== undefined) entry.mode &= 0o777;
    },
  });
  try {
    await pipeline(Readable.from(archive), sink as unknown as NodeJS.WritableStream);
  } catch (cause) {
    const { tarCode } = cause as { readonly tarCode?: string };
    if (tarCode === undefined) throw cause;
    throw new PlyboxError("file/bad-archive", `the sandbox's archive is refused: ${(cause as Error).message}`, {
      cause,
    });
  }
  for (const link of links) await makeLink(directory, link);
}

async function makeLink(directory: string, { path, target }: LateLink): Promise<void> {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (path.startsWith("/") || parts.includes("..") || parts.length === 0) throw leadsOut(path);
  for (let depth = 1; depth < parts.length; depth++) {
    const parent = await lstat(join(directory, ...parts.slice(0, depth)));
    if (!parent.isDirectory()) throw leadsOut(path);
  }
  const place = join(directory, ...parts);
  const old = await lstat(place).catch(() => undefined);
  if (old?.isDirectory() === true) {
    throw new PlyboxError("file/is-a-directory", `${place} is a directory, which a symlink cannot replace`);
  }
  if (old !== undefined) await unlink(place);
  await symlink(target, join(dirname(place), parts.at(-1) ?? ""));
}

const leadsOut = (path: string): PlyboxError =>
  new PlyboxError("file/bad-archive", `an entry of the sandbox's archive leads out: ${JSON.stringify(path)}`);
