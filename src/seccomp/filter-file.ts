import { createHash } from "node:crypto";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A BPF program and its file, which is named after what it holds: programs that are the same share one. */
export class FilterFile {
  readonly path: string;
  readonly #program: Uint8Array;

  constructor(directory: string, program: Uint8Array) {
    this.path = join(directory, `${createHash("sha256").update(program).digest("hex")}.bpf`);
    this.#program = program;
  }

  /**
   * Writes the file where it is missing. All at once, so that who takes the directory away meets no half of it; beside
   * its place first, so that a launcher reads the whole program or none.
   */
  write(): void {
    if (existsSync(this.path)) return;
    const written = `${this.path}.new`;
    writeFileSync(written, this.#program, { mode: 0o600 });
    renameSync(written, this.path);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}
