import { PlyboxError } from "./errors.ts";

/**
 * Where an image is, by the names that containers' tools have for it: in a registry, or on this machine as a directory
 * of the OCI layout, as that in a tar archive, or as what `docker save` writes.
 */
export type ImageSource =
  | { readonly transport: "docker" /** `[HOST/]NAME[:TAG|@DIGEST]` */; readonly image: string }
  | {
      readonly transport: "oci" | "oci-archive" | "docker-archive";
      readonly path: string;
      /** Which image of several: a reference name of the layout, or `NAME:TAG` of what was saved; null for the only one. */
      readonly image: string | null;
    };

/** What an image was made for. */
export interface Platform {
  readonly os: string;
  /** As Go names it, such as `amd64`. */
  readonly architecture: string;
  /** Such as `v7`; null for any. */
  readonly variant: string | null;
}

/** Whom a registry knows. */
export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

const TRANSPORTS = ["docker", "oci", "oci-archive", "docker-archive"] as const;
/** Loose: who has the image says whether it is one. Nothing that a program could take for an option gets through. */
const IMAGE = /^[A-Za-z0-9[][A-Za-z0-9._:/@[\]-]{0,511}$/;
const PLATFORM = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?$/;

/**
 * Parses `docker://HOST/NAME:TAG`, `oci:DIRECTORY[:NAME]`, `oci-archive:FILE[:NAME]` or `docker-archive:FILE[:NAME:TAG]`.
 * @throws PlyboxError `input/invalid`
 */
export function parseImageSource(text: string, field: string): ImageSource {
  const [transport, ...rest] = text.split(":");
  const known = TRANSPORTS.find((each) => each === transport);
  if (known === undefined || rest.length === 0) {
    const forms = "docker://HOST/NAME:TAG, oci:DIRECTORY, oci-archive:FILE or docker-archive:FILE";
    throw new PlyboxError("input/invalid", `${JSON.stringify(text.slice(0, 200))} is no image; it is ${forms}`, {
      field,
    });
  }
  if (known === "docker") {
    if (rest[0]?.startsWith("//") !== true)
      throw new PlyboxError("input/invalid", "docker: goes on with //", { field });
    return { transport: known, image: parseImageName(rest.join(":").slice(2), field) };
  }
  const [path = "", ...image] = rest;
  if (path === "") throw new PlyboxError("input/invalid", `${known}: names no path`, { field });
  return { transport: known, path, image: image.length === 0 ? null : parseImageName(image.join(":"), field) };
}

/** @throws PlyboxError `input/invalid` */
export function parseImageName(text: string, field: string): string {
  if (IMAGE.test(text)) return text;
  throw new PlyboxError("input/invalid", `${JSON.stringify(text.slice(0, 200))} is no image's name`, { field });
}

/**
 * Parses `OS/ARCHITECTURE[/VARIANT]`.
 * @throws PlyboxError `input/invalid`
 */
export function parsePlatform(text: string, field: string): Platform {
  const [, os, architecture, variant = null] = PLATFORM.exec(text) ?? [];
  if (os !== undefined && architecture !== undefined) return { os, architecture, variant };
  const message = `${JSON.stringify(text.slice(0, 80))} is no platform; it is OS/ARCHITECTURE, such as linux/arm64`;
  throw new PlyboxError("input/invalid", message, { field });
}

export const formatPlatform = ({ os, architecture, variant }: Platform): string =>
  `${os}/${architecture}${variant === null ? "" : `/${variant}`}`;

export const formatImageSource = (source: ImageSource): string =>
  source.transport === "docker"
    ? `docker://${source.image}`
    : `${source.transport}:${source.path}${source.image === null ? "" : `:${source.image}`}`;
