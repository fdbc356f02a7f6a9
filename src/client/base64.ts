/** The parts of newer runtimes, and of Node, that are faster than what every browser has. */
interface FastBase64 {
  readonly Buffer?: { from(text: string, encoding: "base64"): Uint8Array };
  readonly Uint8Array: { fromBase64?: (text: string) => Uint8Array };
}

const runtime = globalThis as unknown as FastBase64;

export function decodeBase64(text: string): Uint8Array {
  if (runtime.Uint8Array.fromBase64 !== undefined) return runtime.Uint8Array.fromBase64(text);
  if (runtime.Buffer !== undefined) return runtime.Buffer.from(text, "base64");
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export function encodeBase64(bytes: Uint8Array): string {
  let binary = "";
  // As many arguments as every engine takes.
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary);
}
