/** One line of the result. */
export interface Figure {
  /** Such as `fork-1mb`. */
  readonly name: string;
  readonly value: number;
  /** Such as `ms` or `×`. */
  readonly unit: string;
  /** What the value is measured against, in words with numbers. */
  readonly detail: string;
  /** What it is asked to be; absent where it is only told. */
  readonly bound?: { readonly is: "at most" | "at least"; readonly value: number };
}

export const isHeld = ({ value, bound }: Figure): boolean =>
  bound === undefined || (bound.is === "at most" ? value <= bound.value : value >= bound.value);

/** What measures some figures. */
export interface Suite {
  readonly names: readonly string[];
  /** @param work an empty directory, which is removed afterwards */
  run(work: string, rounds: number, signal: AbortSignal): Promise<readonly Figure[]>;
}
