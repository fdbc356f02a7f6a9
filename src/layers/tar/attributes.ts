import { badArchive, shown } from "./archive-error.ts";
import type { TarEntry } from "./tar-reader.ts";

export const OPAQUE = "trusted.overlay.opaque";
const MOST_NAME_BYTES = 255;
const MOST_VALUE_BYTES = 65_535;
const NAMESPACES = /^(?:user|trusted|security)\../;
const OVERLAY = /^(?:trusted|user)\.overlay\.(.*)$/s;
/** What overlayfs notes for itself about the machine on which a file was written. */
const OF_THE_MACHINE: ReadonlySet<string> = new Set(["origin", "impure", "nlink", "uuid", "protattr"]);

/**
 * The extended attributes of an entry that a layer keeps. Those of overlayfs change what other layers show (a redirect
 * or a metacopy would lend this layer's rights to files of another): an opaque directory alone is taken.
 * @throws PlyboxError `file/bad-archive`
 */
export function checkAttributes({ name, type, attributes }: TarEntry): Map<string, Buffer> {
  const kept = new Map<string, Buffer>();
  for (const [key, value] of attributes) {
    if (key.length > MOST_NAME_BYTES || value.length > MOST_VALUE_BYTES || key.includes("\0")) {
      throw badArchive(`${shown(name)} has the attribute ${shown(key)} of ${value.length} bytes`);
    }
    const [, overlay] = OVERLAY.exec(key) ?? [];
    if (overlay === undefined) {
      // Others, such as system.posix_acl_access, have no place in an image.
      // A copy, since what it was read from holds all that was said with it.
      if (NAMESPACES.test(key)) kept.set(key, Buffer.from(value));
    } else if (overlay === "opaque" && type === "5" && value.toString("latin1") === "y") {
      kept.set(OPAQUE, value).set("user.overlay.opaque", value);
    } else if (!OF_THE_MACHINE.has(overlay)) {
      throw badArchive(`${shown(name)} has the attribute ${shown(key)}, which would change other layers`);
    }
  }
  return kept;
}
