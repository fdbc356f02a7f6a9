import type { IdSource } from "./id-ranges.ts";

/**
 * The ids of a user namespace, from 0 on, which all its sandboxes have: their layers lie unpacked on the disk, where a
 * file has one owner for all who see it (docs/decisions/0009).
 */
export class SharedIds implements IdSource {
  readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  take(): number {
    return 0;
  }

  claim(): void {}

  giveBack(): void {}
}
