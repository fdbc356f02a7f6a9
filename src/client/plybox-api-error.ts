import type { ErrorBody } from "../api/contract.ts";
import type { ErrorCode } from "../model/errors.ts";

/** Every failure that the SDK reports, except an abort, which throws the signal's own reason. */
export class PlyboxApiError extends Error {
  override readonly name = "PlyboxApiError";
  /** Stable; decide by it. `daemon/unreachable` when there was no answer, or one that is not Plybox's. */
  readonly code: ErrorCode;
  /** HTTP status; 0 when there was no answer, or when a command's stream told of the error. */
  readonly status: number;
  /** Dotted path of the offending input field, such as `limits.memoryBytes`. */
  readonly field: string | undefined;
  /** Of a Dockerfile, from 1 on. */
  readonly line: number | undefined;
  /** The native step that failed, such as `overlay`. */
  readonly step: string | undefined;
  /** Linux error name, such as `ENOSPC`. */
  readonly errno: string | undefined;

  constructor(error: ErrorBody["error"], status: number, cause?: unknown) {
    super(error.message, cause === undefined ? undefined : { cause });
    this.code = error.code;
    this.status = status;
    this.field = error.field;
    this.line = error.line;
    this.step = error.step;
    this.errno = error.errno;
  }
}

export const unreachable = (message: string, cause?: unknown, status = 0): PlyboxApiError =>
  new PlyboxApiError({ code: "daemon/unreachable", message }, status, cause);

/** The error of an answer that is not a success. */
export function errorOfAnswer(status: number, text: string): PlyboxApiError {
  try {
    const { error } = JSON.parse(text) as ErrorBody;
    if (typeof error.code === "string" && typeof error.message === "string") return new PlyboxApiError(error, status);
  } catch {
    // Told below: something between us and the daemon answered.
  }
  return unreachable(`HTTP ${status} from something that is not Plybox`, undefined, status);
}
