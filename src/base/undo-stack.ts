type Undo = () => void | Promise<void>;

/**
 * What must be undone when an acquisition fails half-way: each step pushes its inverse, and `move()` hands all of them
 * to the owner at the end. Stands in for `AsyncDisposableStack`, which Node 20 lacks, and labels its failures.
 */
export class UndoStack implements AsyncDisposable {
  #steps: { readonly label: string; readonly undo: Undo }[] = [];
  #disposal: Promise<void> | undefined;

  /** `label` says what `undo` does, such as "unmount /run/x"; it names the step where that fails. */
  push(label: string, undo: Undo): void {
    if (this.#disposal !== undefined) throw new Error(`too late to push "${label}": the stack was undone`);
    this.#steps.push({ label, undo });
  }

  /** All steps in a new stack; this one becomes empty and undoes nothing. */
  move(): UndoStack {
    const moved = new UndoStack();
    moved.#steps = this.#steps;
    this.#steps = [];
    return moved;
  }

  /**
   * Runs every step, newest first, each after the one before has ended; a second call shares the first one's result.
   * @throws AggregateError with one labelled error for each step that failed, in the order of running
   */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#undoAll();
    return this.#disposal;
  }

  async #undoAll(): Promise<void> {
    const failures: Error[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (cause) {
        failures.push(new Error(`${step.label}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause }));
      }
    }
    if (failures.length > 0) {
      throw new AggregateError(failures, `could not undo: ${failures.map(({ message }) => message).join("; ")}`);
    }
  }
}
