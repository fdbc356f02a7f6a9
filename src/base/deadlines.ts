/** A later look finds out when the clock was set meanwhile. */
const LONGEST_SLEEP_MS = 60_000;

interface Entry {
  readonly key: string;
  readonly at: number;
}

/**
 * One timer for any number of keys, each with one moment of the wall clock at which it is due. It keeps no process
 * alive.
 */
export class Deadlines {
  readonly #onDue: (key: string) => void;
  readonly #moments = new Map<string, number>();
  /** A binary heap, the earliest first. An entry that the map does not confirm is of no use any more. */
  #heap: Entry[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param onDue gets each key once for each time that it was set */
  constructor(onDue: (key: string) => void) {
    this.#onDue = onDue;
  }

  get size(): number {
    return this.#moments.size;
  }

  /** @param at milliseconds since 1970, in place of an earlier moment of this key */
  set(key: string, at: number): void {
    if (this.#moments.get(key) === at) return;
    this.#moments.set(key, at);
    this.#push({ key, at });
    if (this.#heap.length > 2 * this.#moments.size + 64) this.#rebuild();
    if (this.#heap[0]?.key === key) this.#arm();
  }

  delete(key: string): void {
    this.#moments.delete(key);
  }

  /** Nothing is due any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#moments.clear();
    this.#heap = [];
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const [first] = this.#heap;
    if (first === undefined) return;
    const delay = Math.min(LONGEST_SLEEP_MS, Math.max(0, first.at - Date.now()));
    this.#timer = setTimeout(() => this.#wake(), delay).unref();
  }

  #wake(): void {
    const now = Date.now();
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      const isCurrent = this.#moments.get(first.key) === first.at;
      if (isCurrent && first.at > now) break;
      this.#pop();
      if (!isCurrent) continue;
      this.#moments.delete(first.key);
      this.#onDue(first.key);
    }
    this.#arm();
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if ((heap[parent] as Entry).at <= entry.at) break;
      heap[index] = heap[parent] as Entry;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Entry).at < (heap[child] as Entry).at) child += 1;
      if ((heap[child] as Entry).at >= last.at) break;
      heap[index] = heap[child] as Entry;
      index = child;
    }
    heap[index] = last;
  }

  /** Drops what is of no use any more. */
  #rebuild(): void {
    this.#heap = [...this.#moments].map(([key, at]) => ({ key, at })).sort((a, b) => a.at - b.at);
  }
}
