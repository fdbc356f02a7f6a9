import type { LayerName } from "../../model/ids.ts";
import { parseLayerName } from "../../model/ids.ts";
import type { DebianPreset } from "../../model/presets.ts";

/** A layer of Debian packages. */
export interface Preset {
  readonly name: LayerName;
  /** All that its system has beside the minimal one. */
  readonly packages: readonly string[];
  /** Whether it is a whole system; what else there is holds only what it adds to that. */
  readonly isBase: boolean;
}

const BASE_PACKAGES = ["ca-certificates"];

/** What stands on the base has all that is in it: it would be removed otherwise. */
const onBase = (name: string, ...packages: readonly string[]): Preset => ({
  name: parseLayerName(name),
  packages: [...BASE_PACKAGES, ...packages],
  isBase: false,
});

export const PRESETS: Readonly<Record<DebianPreset, Preset>> = {
  debian: { name: parseLayerName("000-debian"), packages: BASE_PACKAGES, isBase: true },
  python: onBase("100-python", "python3", "python3-venv"),
  node: onBase("100-node", "nodejs", "npm"),
  go: onBase("100-go", "golang-go"),
  rust: onBase("100-rust", "rustc", "cargo"),
  "build-tools": onBase("110-build-tools", "build-essential", "git", "pkg-config"),
};
