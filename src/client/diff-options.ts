import type { CallOptions } from "./connection.ts";

export interface DiffOptions extends CallOptions {
  /** A checkpoint, by id or name; what the sandbox holds now by default. */
  readonly to?: string;
  /** Whether to tell what changed in files line by line. */
  readonly text?: boolean;
  /** How many changes are told; 1,000 by default, 10,000 at most. */
  readonly limit?: number;
}
