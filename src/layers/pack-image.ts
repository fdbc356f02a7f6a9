import { join } from "node:path";
import type { ImageFormat } from "../model/layer.ts";
import { packErofs } from "./erofs.ts";
import type { PackOptions } from "./pack-program.ts";
import { packSquashfs } from "./squashfs.ts";

const PACKERS = { squashfs: packSquashfs, erofs: packErofs } as const satisfies Record<ImageFormat, unknown>;

/** Packs a tree into an image of `format`. See the packers for what they throw. */
export const packImage = (format: ImageFormat, options: PackOptions): Promise<void> => PACKERS[format](options);

/** Where a layer's directory has its image. */
export const imagePath = (directory: string, format: ImageFormat): string => join(directory, `image.${format}`);
