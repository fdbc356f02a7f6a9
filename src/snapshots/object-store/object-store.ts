/** Told how many bytes have gone or come since the last time. */
export type OnBytes = (count: number) => void;

export interface TransferOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: OnBytes | undefined;
}

/**
 * What Plybox needs of a place for objects. All of it is in the part of S3 that every server has: a condition is asked
 * for on small objects alone, and nothing is ever overwritten but by the same bytes.
 *
 * Every method throws PlyboxError `remote/unreachable` when trying again did not help, `remote/refused` when the server
 * says no, `aborted`.
 */
export interface ObjectStore {
  /** Bytes of an object; undefined where there is none. */
  sizeOf(key: string, options?: TransferOptions): Promise<number | undefined>;
  /** A small object; undefined where there is none. Throws `remote/refused` for more than `mostBytes`. */
  read(key: string, mostBytes: number, options?: TransferOptions): Promise<Buffer | undefined>;
  /** Writes a small object where there is none yet. Returns what is there then: `bytes`, or what was there before. */
  putIfAbsent(key: string, bytes: Buffer, options?: TransferOptions): Promise<Buffer>;
  /** Writes a file of any size; what an earlier attempt has sent of it is not sent again. */
  upload(key: string, file: string, options?: TransferOptions): Promise<void>;
  /** Reads an object of a known size into a file that is not there yet. What comes is not checked against anything. */
  download(key: string, bytes: number, file: string, options?: TransferOptions): Promise<void>;
  /** Keys that begin with `prefix`, in their order. */
  list(prefix: string, options?: TransferOptions): AsyncGenerator<string>;
  /** Takes away what uploads that nobody goes on with have left. Returns how many those were. */
  dropStaleUploads(prefix: string, olderThanMs: number, options?: TransferOptions): Promise<number>;
}
