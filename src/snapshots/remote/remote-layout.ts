import { PlyboxError } from "../../model/errors.ts";
import type { Digest, LayerName } from "../../model/ids.ts";
import { parseDigest, parseLayerName } from "../../model/ids.ts";

const SEQUENCE_DIGITS = 10;
const NAME_ENTRY = /^names\/([^/]+)\/([0-9]{10})\.json$/;

/**
 * Where what is, below a bucket's prefix; docs/portability.md. Content lies under its digest, so that two hosts that
 * write one key write the same bytes. A name is a row of entries that are only ever added to.
 */
export const remoteKeys = (prefix: string) => {
  const below = (key: string): string => (prefix === "" ? key : `${prefix}/${key}`);
  return {
    images: below("blobs/sha256/"),
    image: (digest: Digest): string => below(`blobs/sha256/${digest}`),
    manifest: (digest: Digest): string => below(`layers/${digest}.json`),
    signature: (digest: Digest, name: LayerName, keyId: string): string =>
      below(`signatures/${digest}/${name}/${keyId}.json`),
    names: below("names/"),
    /** Every entry that a name has had. */
    nameEntries: (name: LayerName): string => below(`names/${name}/`),
    nameEntry: (name: LayerName, sequence: number): string =>
      below(`names/${name}/${String(sequence).padStart(SEQUENCE_DIGITS, "0")}.json`),
    /** What a key below `names` says; undefined for what is none of ours. */
    parseNameEntry(key: string): { readonly name: LayerName; readonly sequence: number } | undefined {
      const [, name = "", sequence] = NAME_ENTRY.exec(prefix === "" ? key : key.slice(prefix.length + 1)) ?? [];
      if (sequence === undefined) return undefined;
      try {
        return { name: parseLayerName(name), sequence: Number(sequence) };
      } catch {
        return undefined;
      }
    },
  };
};

export type RemoteKeys = ReturnType<typeof remoteKeys>;

/** The content of a name's entry. */
export const formatNameEntry = (digest: Digest): Buffer => Buffer.from(`${JSON.stringify({ digest })}\n`);

/** @throws PlyboxError `remote/refused` */
export function parseNameEntry(key: string, bytes: Buffer): Digest {
  try {
    const { digest, ...unknown } = JSON.parse(bytes.toString()) as { digest: unknown };
    if (Object.keys(unknown).length > 0) throw new Error("it has unknown fields");
    return parseDigest(String(digest));
  } catch (cause) {
    throw damaged(key, cause);
  }
}

export const damaged = (key: string, cause: unknown): PlyboxError =>
  new PlyboxError("remote/refused", `the object storage: ${key} is damaged: ${(cause as Error).message}`, { cause });
