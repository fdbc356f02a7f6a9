import type { LayerName } from "../../model/ids.ts";
import { parseLayerName } from "../../model/ids.ts";
import type { PresetName } from "../../model/presets.ts";

/** A layer of Debian packages. */
export interface Preset {
  readonly name: LayerName;
  readonly packages: readonly string[];
  /** Whether it is a whole system; what else there is holds only what it adds to that. */
  readonly isBase: boolean;
}

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  debian: { name: parseLayerName("000-debian"), packages: ["ca-certificates"], isBase: true },
  python: { name: parseLayerName("100-python"), packages: ["python3", "python3-venv"], isBase: false },
  node: { name: parseLayerName("100-node"), packages: ["nodejs", "npm"], isBase: false },
  go: { name: parseLayerName("100-go"), packages: ["golang-go"], isBase: false },
  rust: { name: parseLayerName("100-rust"), packages: ["rustc", "cargo"], isBase: false },
  "build-tools": {
    ...{ name: parseLayerName("110-build-tools"), isBase: false },
    packages: ["build-essential", "git", "pkg-config"],
  },
};
