import { PlyboxError } from "../../model/errors.ts";

const CONTROL = /^ctrl-([a-z@[\\\]^_])$/i;

/**
 * Bytes of a sequence of keys such as `ctrl-p,ctrl-q`: letters, or `ctrl-` and a letter or one of `@ [ \ ] ^ _`.
 * @throws PlyboxError `input/invalid`
 */
export function parseDetachKeys(text: string): Uint8Array {
  return Uint8Array.from(text.split(","), (key) => {
    const [, control] = CONTROL.exec(key) ?? [];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (/^[\x21-\x7e]$/.test(key)) return key.charCodeAt(0);
    const shown = JSON.stringify(text.slice(0, 40));
    throw new PlyboxError("input/invalid", `not a sequence of keys: ${shown}; write ctrl-p,ctrl-q`);
  });
}

/** Looks for a sequence among the keys that are typed. */
export class KeySequence {
  readonly #sequence: Buffer;
  /** Typed, and the beginning of the sequence so far. */
  #held: Buffer = Buffer.alloc(0);

  constructor(sequence: Uint8Array) {
    this.#sequence = Buffer.from(sequence);
  }

  /** What is to be passed on of these keys and of those held back before, and whether the sequence is complete. */
  take(keys: Uint8Array): { readonly passed: Buffer; readonly complete: boolean } {
    const passed: number[] = [];
    for (const key of keys) {
      this.#held = Buffer.concat([this.#held, Buffer.of(key)]);
      while (!this.#sequence.subarray(0, this.#held.length).equals(this.#held)) {
        passed.push(this.#held[0] ?? 0);
        this.#held = this.#held.subarray(1);
      }
      if (this.#held.length === this.#sequence.length) return { passed: Buffer.from(passed), complete: true };
    }
    return { passed: Buffer.from(passed), complete: false };
  }
}
