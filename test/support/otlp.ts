import type { Received } from "./receiver.ts";

interface AnyValue {
  readonly stringValue?: string;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
}
interface Attribute {
  readonly key: string;
  readonly value: AnyValue;
}

interface OtlpSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: readonly Attribute[];
  readonly events: readonly { readonly name: string }[];
}

interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

const record = (attributes: readonly Attribute[]): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    attributes.map(({ key, value: { stringValue, intValue, doubleValue, boolValue } }) => [
      key,
      stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue)),
    ]),
  );

/** The spans that an OTLP receiver was sent as JSON, with their attributes as plain values. */
export function otlpSpans(requests: readonly Received[]) {
  return requests
    .flatMap(({ body }) => (JSON.parse(body) as TraceRequest).resourceSpans)
    .flatMap(({ resource, scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) =>
        spans.map(({ attributes, parentSpanId, status: { code, message }, ...span }) => ({
          ...span,
          parentSpanId: parentSpanId === "" ? undefined : parentSpanId,
          // 0 is unset.
          status: { ...(code !== undefined && code !== 0 && { code }), ...(message !== undefined && { message }) },
          attributes: record(attributes),
          resource: record(resource.attributes),
        })),
      ),
    );
}
