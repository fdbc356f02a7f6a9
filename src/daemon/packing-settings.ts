import type { Compression, Packings, Purpose } from "../layers/compression.ts";
import { completeCompression } from "../layers/compression.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ImageFormat } from "../model/layer.ts";

/** The settings of how images are packed, as they are written. */
export interface PackingSettings {
  readonly layerFormat?: string;
  readonly squashComp?: string;
  readonly squashCompLevel?: string;
  readonly squashBlockSize?: string;
  readonly erofsComp?: string;
  readonly erofsCompLevel?: string;
  readonly erofsBlockSize?: string;
}

const FORMATS: readonly ImageFormat[] = ["squashfs", "erofs"];
const PREFIX = { squashfs: "squash", erofs: "erofs" } as const satisfies Record<ImageFormat, string>;
const SUFFIX = { algorithm: "Comp", level: "CompLevel", blockBytes: "BlockSize" } as const;

/**
 * How images for `purpose` are packed. A level that is set holds for layers and snapshots alike.
 * @throws PlyboxError `input/invalid` naming the setting
 */
export function parsePackings(settings: PackingSettings, purpose: Purpose): Packings {
  const text = purpose === "layer" ? (settings.layerFormat ?? "squashfs") : "squashfs";
  const format = FORMATS.find((known) => known === text);
  if (format === undefined) throw invalid("layerFormat", `is ${FORMATS.join(" or ")}, not ${JSON.stringify(text)}`);
  return Object.freeze({
    format,
    squashfs: parseCompression(settings, "squashfs", purpose),
    erofs: parseCompression(settings, "erofs", purpose),
  });
}

function parseCompression(settings: PackingSettings, format: ImageFormat, purpose: Purpose): Compression {
  const prefix = PREFIX[format];
  const algorithm = settings[`${prefix}Comp`];
  const level = settings[`${prefix}CompLevel`];
  const block = settings[`${prefix}BlockSize`];
  try {
    const asked = {
      ...(algorithm !== undefined && { algorithm }),
      ...(level !== undefined && { level: parseLevel(level) }),
      ...(block !== undefined && { blockBytes: parseBlock(block) }),
    };
    return Object.freeze(completeCompression(format, purpose, asked));
  } catch (error) {
    if (!(error instanceof PlyboxError) || error.field === undefined || !(error.field in SUFFIX)) throw error;
    throw invalid(`${prefix}${SUFFIX[error.field as keyof typeof SUFFIX]}`, `is refused: ${error.message}`);
  }
}

/** What is no number is refused with the levels that there are. */
const parseLevel = (text: string): number => (/^[0-9]{1,4}$/.test(text) ? Number(text) : Number.NaN);

/** Bytes, or KiB and MiB as mksquashfs has them: 131072, 128K, 1M. */
function parseBlock(text: string): number {
  const [, digits, unit = ""] = /^([0-9]{1,8})([KkMm]?)$/.exec(text) ?? [];
  if (digits === undefined) return Number.NaN;
  return Number(digits) * ({ "": 1, K: 1024, M: 1024 ** 2 }[unit.toUpperCase()] ?? 1);
}

const invalid = (field: string, message: string): PlyboxError =>
  new PlyboxError("input/invalid", `configuration: ${field} ${message}`, { field });
