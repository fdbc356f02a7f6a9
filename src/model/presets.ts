/** Layers that Plybox knows how to make of Debian's packages. */
const DEBIAN_PRESETS = ["debian", "python", "node", "go", "rust", "build-tools"] as const;
export type DebianPreset = (typeof DEBIAN_PRESETS)[number];

/** Those, and one that is made of a program that this machine has. */
export const PRESET_NAMES = ["busybox", ...DEBIAN_PRESETS] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

export const isPreset = (text: string): text is PresetName => PRESET_NAMES.some((name) => name === text);
