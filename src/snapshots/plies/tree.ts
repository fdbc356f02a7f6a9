import type { AnswerFields, Entry } from "./entry.ts";
import { takeEntry } from "./entry.ts";
import type { Field, TreeRequests } from "./tree-request.ts";
import { OPERATIONS } from "./tree-request.ts";

/** Bytes of a file; between two pieces, and behind the last one, there are zeros. */
export interface Piece {
  readonly offset: number;
  readonly bytes: Buffer;
}

interface TreeSurvey {
  /** With the root. */
  readonly entries: number;
  /** Of regular files, each as often as it has names, holes included. */
  readonly bytes: number;
  /** Path of something whose owner or group is nobody's. */
  readonly foreign: string | undefined;
}

/**
 * A tree that plytree has open. Paths are relative with one character a byte, "" is the root; no symlink on the way is
 * followed. Errors are those of `TreeRequests.ask`.
 */
export class Tree {
  readonly #program: TreeRequests;
  readonly #root: number;

  constructor(program: TreeRequests, root: number) {
    this.#program = program;
    this.#root = root;
  }

  async entry(path: string): Promise<Entry> {
    return takeEntry(await this.#ask("entry", path));
  }

  /** What is in a directory, by the bytes of the names. */
  async *list(path: string): AsyncGenerator<Entry> {
    let answer = await this.#ask("list", path);
    let listing = answer.u32();
    try {
      for (;;) {
        while (!answer.isDone) yield takeEntry(answer);
        if (listing === 0) return;
        answer = await this.#program.ask(OPERATIONS.more, [listing], path);
        listing = answer.u32();
      }
    } finally {
      if (listing !== 0) await this.#program.ask(OPERATIONS.drop, [listing], path);
    }
  }

  /** What a file has besides zeros, in pieces of at most 256 KiB; nothing is read for its holes. */
  async *content(path: string, from = 0): AsyncGenerator<Piece> {
    let next = this.#ask("read", path, BigInt(from));
    for (;;) {
      const answer = await next;
      const [size, offset, bytes] = [Number(answer.u64()), Number(answer.u64()), answer.rest()];
      if (bytes.length === 0) return;
      const isLast = offset + bytes.length >= size;
      // It is read while this one is used.
      if (!isLast) next = this.#ask("read", path, BigInt(offset + bytes.length));
      // Whoever takes no more of them hears nothing of it.
      next.catch(() => {});
      yield { offset, bytes };
      if (isLast) return;
    }
  }

  /** Whether a file and one of another tree, of the same size, have the same blocks; false where that cannot be told. */
  async sharesBlocks(path: string, other: Tree, otherPath: string): Promise<boolean> {
    const answer = await this.#ask("shared", path, other.#root, otherPath);
    return answer.u32() !== 0;
  }

  /** Makes `path` what `from` is in its tree, all but the content of a directory; nothing may be there. */
  async copy(source: Tree, from: string, path: string): Promise<void> {
    await this.#program.ask(OPERATIONS.copy, [source.#root, from, this.#root, path], path);
  }

  /** Gives `path` the owner, mode, attributes and time of `from` in its tree, which is of the same kind. */
  async stamp(source: Tree, from: string, path: string): Promise<void> {
    await this.#program.ask(OPERATIONS.stamp, [source.#root, from, this.#root, path], path);
  }

  async link(existing: string, path: string): Promise<void> {
    await this.#ask("link", existing, path);
  }

  /** With all that is below; what is not there counts as removed. */
  async remove(path: string): Promise<void> {
    await this.#ask("remove", path);
  }

  async makeWhiteout(path: string): Promise<void> {
    await this.#ask("whiteout", path);
  }

  async markOpaque(path: string, isOpaque: boolean): Promise<void> {
    await this.#ask("opaque", path, isOpaque ? 1 : 0);
  }

  /**
   * What all of the tree comes to.
   * @param firstForeignId from which on an owner or a group is nobody's
   */
  async survey(firstForeignId: number): Promise<TreeSurvey> {
    const answer = await this.#program.ask(OPERATIONS.survey, [this.#root, firstForeignId], "");
    const [entries, bytes, foreign] = [Number(answer.u64()), Number(answer.u64()), answer.text()];
    return { entries, bytes, foreign: foreign === "" ? undefined : foreign };
  }

  /** All of the tree's file system has reached its disk. */
  async sync(): Promise<void> {
    await this.#program.ask(OPERATIONS.sync, [this.#root], "");
  }

  #ask(operation: keyof typeof OPERATIONS, path: string, ...more: Field[]): Promise<AnswerFields> {
    return this.#program.ask(OPERATIONS[operation], [this.#root, path, ...more], path);
  }
}
