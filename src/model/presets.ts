/** Layers that Plybox knows how to make of Debian's packages. */
export const PRESET_NAMES = ["debian", "python", "node", "go", "rust", "build-tools"] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

export const isPreset = (text: string): text is PresetName => PRESET_NAMES.some((name) => name === text);
