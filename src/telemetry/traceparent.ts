/** Where a caller's trace stands, as the W3C's `traceparent` says it. */
export interface RemoteSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Whether the caller records its spans. */
  readonly isSampled: boolean;
}

const SHAPE = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** Undefined for a header that is not there or that the specification calls invalid. */
export function parseTraceparent(header: string | undefined): RemoteSpan | undefined {
  const [, version, traceId = "", spanId = "", flags = ""] = SHAPE.exec(header ?? "") ?? [];
  // Later versions may add fields at the end; version 0 has none, and ff is no version.
  if (version === undefined || version === "ff" || (version === "00" && header?.length !== 55)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
