import type { Platform } from "../../model/image-source.ts";

/** As Go names them, where Node has other names. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", arm64: "arm64", arm: "arm" };
/** The variant that is meant where none is said. */
const STANDARD_VARIANTS: Readonly<Record<string, string>> = { arm64: "v8" };

export const hostPlatform = (): Platform => ({
  ...{ os: "linux", architecture: ARCHITECTURES[process.arch] ?? process.arch, variant: null },
});

/** Whether what `found` was made for runs on what was asked for. */
export function isFor(found: Platform, wanted: Platform): boolean {
  if (found.os !== wanted.os || found.architecture !== wanted.architecture) return false;
  const standard = STANDARD_VARIANTS[wanted.architecture] ?? null;
  const variant = wanted.variant ?? standard;
  return variant === null || (found.variant ?? standard) === variant;
}
