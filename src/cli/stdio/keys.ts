import type { CliContext } from "../context.ts";

interface Terminal {
  setRawMode(raw: boolean): unknown;
}

/** Keys as they are pressed, while it lives: the terminal neither waits for a line nor shows them. */
export class Keys implements Disposable {
  readonly #stdin: CliContext["stdin"];
  readonly #listener: (bytes: Buffer | string) => void;

  constructor(stdin: CliContext["stdin"], onKeys: (keys: Buffer) => void) {
    this.#stdin = stdin;
    this.#listener = (keys) => onKeys(typeof keys === "string" ? Buffer.from(keys) : keys);
    this.#setRaw(true);
    stdin.on("data", this.#listener);
    stdin.resume();
  }

  [Symbol.dispose](): void {
    this.#stdin.off("data", this.#listener);
    this.#stdin.pause();
    this.#setRaw(false);
  }

  #setRaw(raw: boolean): void {
    if (this.#stdin.isTTY === true) (this.#stdin as unknown as Terminal).setRawMode(raw);
  }
}
