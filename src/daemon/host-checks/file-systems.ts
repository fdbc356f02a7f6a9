import { existsSync } from "node:fs";
import { mkdtemp, rmdir, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Check, Host } from "./check.ts";
import { missing, ok, warn } from "./check.ts";
import { tryFeature } from "./namespaces.ts";
import { readText } from "./read-text.ts";

const LEAST_FREE_BYTES = 1024 ** 3;
const GIB = 1024 ** 3;

const kernelFileSystem = (name: string, use: string, required: boolean): Check => ({
  name: `${name} file system`,
  required,
  examine(host) {
    const known = readText(`${host.proc}/filesystems`)?.split(/\s+/) ?? [];
    if (known.includes(name)) return ok(use);
    if (hasModule(host, name)) return warn(`a module that is not loaded; ${use}`, `modprobe ${name}`);
    return missing(`not in this kernel; ${use}`, `boot a kernel with CONFIG_${CONFIG[name] ?? name.toUpperCase()}`);
  },
});

const CONFIG: Readonly<Record<string, string>> = { overlay: "OVERLAY_FS", erofs: "EROFS_FS", ext4: "EXT4_FS" };

function hasModule({ modules, kernelRelease }: Host, name: string): boolean {
  return readText(`${modules}/${kernelRelease}/modules.dep`)?.includes(`/${name}.ko`) === true;
}

export const FILE_SYSTEM_CHECKS: readonly Check[] = [
  kernelFileSystem("overlay", "puts the writable layer over the others", true),
  kernelFileSystem("tmpfs", "holds the writable layer", true),
  kernelFileSystem("squashfs", "holds layers", false),
  kernelFileSystem("erofs", "holds layers without a loop device", false),
  kernelFileSystem("ext4", "holds an upper on disk that has a size", false),
  {
    name: "overlay mounts",
    required: true,
    examine: (host) => tryFeature(host, "overlay", "/", "an overlay can be mounted"),
  },
  {
    name: "id-mapped mounts",
    required: true,
    examine(host) {
      if (host.uid !== 0) return ok("rootless needs none: layers are unpacked");
      const directory = nearestDirectory(host.stateDir);
      return tryFeature(host, "idmap", directory, `the file system of ${directory} can be id-mapped`);
    },
  },
  {
    name: "loop devices",
    required: false,
    async examine(host) {
      if (host.uid !== 0) return ok("rootless has none: squashfs layers are unpacked, and uppers on disk have no size");
      if (!existsSync(`${host.dev}/loop-control`)) {
        return missing("neither squashfs layers nor uppers on disk with a size can be mounted", "modprobe loop");
      }
      return await tryFeature(host, "loop", "/", "squashfs layers and uppers on disk with a size can be mounted");
    },
  },
  {
    name: "state directory",
    required: true,
    async examine({ stateDir }) {
      const directory = nearestDirectory(stateDir);
      if (!(await canMakeDirectoryIn(directory)))
        return missing(`${directory} is not writable`, "set PLYBOX_STATE_DIR");
      const { bavail, bsize, files, ffree } = await statfs(directory);
      const free = `${stateDir}: ${((bavail * bsize) / GIB).toFixed(1)} GiB free`;
      if (bavail * bsize < LEAST_FREE_BYTES) return warn(free, "free some space, or set PLYBOX_STATE_DIR");
      // File systems without a table of inodes report 0 of 0.
      return files > 0 && ffree < 1000 ? warn(`${free}, ${ffree} inodes left`, "remove some files") : ok(free);
    },
  },
];

/** The directory itself, or the nearest one above it that exists. */
function nearestDirectory(path: string): string {
  return existsSync(path) || path === "/" ? path : nearestDirectory(dirname(path));
}

/** Root may write everywhere, as access(2) has it; a read-only file system says otherwise. */
async function canMakeDirectoryIn(directory: string): Promise<boolean> {
  try {
    await rmdir(await mkdtemp(join(directory, ".plybox-probe-")));
    return true;
  } catch {
    return false;
  }
}
