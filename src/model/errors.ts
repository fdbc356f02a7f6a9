/**
 * Every error that Plybox reports, in one table: what HTTP answers, what the CLI exits with, and whether the same
 * request may work later. Codes are stable; messages are not.
 */
export const ERRORS = {
  "input/invalid": { http: 400, exit: 125, retry: false },
  "input/too-large": { http: 413, exit: 125, retry: false },
  "auth/missing": { http: 401, exit: 125, retry: false },
  "auth/refused": { http: 403, exit: 125, retry: false },
  "auth/scope-missing": { http: 403, exit: 125, retry: false },
  "key/not-found": { http: 404, exit: 125, retry: false },
  "quota/exceeded": { http: 429, exit: 125, retry: false },
  "rate/limited": { http: 429, exit: 125, retry: true },
  "route/not-found": { http: 404, exit: 125, retry: false },
  "route/method-not-allowed": { http: 405, exit: 125, retry: false },
  "sandbox/not-found": { http: 404, exit: 125, retry: false },
  "sandbox/name-taken": { http: 409, exit: 125, retry: false },
  "sandbox/wrong-state": { http: 409, exit: 125, retry: false },
  "sandbox/paused": { http: 409, exit: 125, retry: false },
  "sandbox/not-ready": { http: 504, exit: 125, retry: true },
  "sandbox/lost": { http: 410, exit: 125, retry: false },
  "checkpoint/not-found": { http: 404, exit: 125, retry: false },
  "checkpoint/name-taken": { http: 409, exit: 125, retry: false },
  "checkpoint/unsupported": { http: 409, exit: 125, retry: false },
  "checkpoint/unfit": { http: 409, exit: 125, retry: false },
  "checkpoint/unrelated": { http: 409, exit: 125, retry: false },
  "checkpoint/none": { http: 409, exit: 125, retry: false },
  "checkpoint/lost": { http: 410, exit: 125, retry: false },
  "checkpoint/no-space": { http: 507, exit: 125, retry: false },
  "checkpoint/packing-failed": { http: 500, exit: 125, retry: false },
  "sandbox/launch-failed": { http: 500, exit: 125, retry: true },
  "bind/changed": { http: 409, exit: 125, retry: false },
  "sandbox/too-many": { http: 429, exit: 125, retry: true },
  "exec/not-found": { http: 404, exit: 125, retry: false },
  "exec/exists": { http: 409, exit: 125, retry: false },
  "exec/key-reused": { http: 409, exit: 125, retry: false },
  "exec/unseen": { http: 410, exit: 125, retry: false },
  "exec/program-not-found": { http: 422, exit: 127, retry: false },
  "exec/not-executable": { http: 422, exit: 126, retry: false },
  "exec/refused": { http: 422, exit: 125, retry: false },
  "exec/output-replaced": { http: 409, exit: 125, retry: false },
  "execution/busy": { http: 409, exit: 125, retry: true },
  "port/unreachable": { http: 502, exit: 125, retry: true },
  "port/reset": { http: 502, exit: 125, retry: true },
  "port/not-ready": { http: 504, exit: 125, retry: true },
  "port/token-not-found": { http: 404, exit: 125, retry: false },
  "file/not-found": { http: 404, exit: 125, retry: false },
  "file/exists": { http: 409, exit: 125, retry: false },
  "file/not-a-directory": { http: 409, exit: 125, retry: false },
  "file/is-a-directory": { http: 409, exit: 125, retry: false },
  "file/not-regular": { http: 409, exit: 125, retry: false },
  "file/not-empty": { http: 409, exit: 125, retry: false },
  "file/permission-denied": { http: 403, exit: 125, retry: false },
  "file/changed": { http: 412, exit: 125, retry: false },
  "file/out-of-range": { http: 416, exit: 125, retry: false },
  "file/bad-archive": { http: 422, exit: 125, retry: false },
  "file/no-space": { http: 507, exit: 125, retry: false },
  "file/failed": { http: 422, exit: 125, retry: false },
  "layer/not-found": { http: 404, exit: 125, retry: false },
  "layer/exists": { http: 409, exit: 125, retry: false },
  "layer/in-use": { http: 409, exit: 125, retry: false },
  "layer/needs-restart": { http: 409, exit: 125, retry: false },
  "layer/corrupt": { http: 500, exit: 125, retry: false },
  "layer/too-large": { http: 422, exit: 125, retry: false },
  "layer/untrusted": { http: 422, exit: 125, retry: false },
  "layer/build-failed": { http: 422, exit: 125, retry: false },
  "build/invalid": { http: 422, exit: 125, retry: false },
  "build/unsupported": { http: 422, exit: 125, retry: false },
  "build/step-failed": { http: 422, exit: 125, retry: false },
  "remote/unreachable": { http: 503, exit: 125, retry: true },
  "remote/refused": { http: 502, exit: 125, retry: false },
  "image/invalid": { http: 422, exit: 125, retry: false },
  "image/pull-failed": { http: 502, exit: 125, retry: false },
  "agent/protocol": { http: 502, exit: 125, retry: false },
  "agent/unreachable": { http: 502, exit: 125, retry: true },
  "launcher/failed": { http: 500, exit: 125, retry: true },
  "host/missing": { http: 501, exit: 125, retry: false },
  "daemon/unreachable": { http: 503, exit: 125, retry: true },
  "daemon/stopping": { http: 503, exit: 125, retry: true },
  "webhook/not-found": { http: 404, exit: 125, retry: false },
  "webhook/too-many": { http: 429, exit: 125, retry: false },
  aborted: { http: 499, exit: 130, retry: true },
  internal: { http: 500, exit: 125, retry: false },
} as const;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetail {
  /** Dotted path of the offending input field, such as `limits.memoryBytes`. */
  readonly field?: string;
  /** Of a Dockerfile, from 1 on. */
  readonly line?: number;
  /** The native step that failed, such as `overlay`. */
  readonly step?: string;
  /** Linux error name, such as `ENOSPC`. */
  readonly errno?: string;
  /** After how many milliseconds the same request may work. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** The one error class of Plybox. `cause` is for the log; `message` and the other fields may be shown to anybody. */
export class PlyboxError extends Error {
  override readonly name = "PlyboxError";
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly line: number | undefined;
  readonly step: string | undefined;
  readonly errno: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.field = detail.field;
    this.line = detail.line;
    this.step = detail.step;
    this.errno = detail.errno;
    this.retryAfterMs = detail.retryAfterMs;
  }
}
