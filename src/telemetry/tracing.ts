import { AsyncLocalStorage } from "node:async_hooks";
import type { Attributes, Context, Span, Tracer } from "@opentelemetry/api";
import { PlyboxError } from "../model/errors.ts";
import type { SandboxEvent } from "../model/event.ts";
import type { LimitsMet } from "../model/exec.ts";
import type { ObservedRequest, ObservedResult, RequestObserver, RequestWatch } from "../model/request-observer.ts";
import { parseTraceparent } from "./traceparent.ts";

export interface TracingOptions {
  /** Of an OTLP receiver over HTTP, such as `http://127.0.0.1:4318`; spans go to `/v1/traces` below it. */
  readonly endpoint: string;
  readonly version: string;
  readonly log: { warn(detail: object, message: string): void };
}

type OtelApi = typeof import("@opentelemetry/api");

/** How long a stop waits for the last spans to be taken. */
const CLOSE_MS = 2000;
/** Commands whose ends are awaited; of more, the oldest get a trace of their own. */
const MAX_COMMANDS = 10_000;

/**
 * Sends spans of what the daemon does: one for each request, within the trace of its caller, and one below it for each
 * command that it started, from its start to its end.
 * @throws PlyboxError `host/missing` where the packages are not installed
 */
export async function openTracing({ endpoint, version, log }: TracingOptions): Promise<Tracing> {
  const { api, base, exporter, resources } = await loadPackages();
  const warn = (message: string, ...details: unknown[]): void => log.warn({ details }, `tracing: ${message}`);
  const silent = (): void => {};
  api.diag.setLogger(
    { error: warn, warn, info: silent, debug: silent, verbose: silent },
    { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const provider = new base.BasicTracerProvider({
    resource: resources.resourceFromAttributes({ "service.name": "plybox", "service.version": version }),
    spanProcessors: [
      new base.BatchSpanProcessor(
        new exporter.OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, "")}/v1/traces`, timeoutMillis: 10_000 }),
      ),
    ],
  });
  return new Tracing(api, provider.getTracer("plybox", version), async () => {
    try {
      await provider.shutdown();
    } catch (err) {
      log.warn({ err }, "the last spans could not be sent");
    }
  });
}

async function loadPackages() {
  try {
    const [api, base, exporter, resources] = await Promise.all([
      import("@opentelemetry/api"),
      import("@opentelemetry/sdk-trace-base"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/resources"),
    ]);
    return { api, base, exporter, resources };
  } catch (cause) {
    throw new PlyboxError("host/missing", "spans need the packages of OpenTelemetry, which are not installed", {
      cause,
    });
  }
}

export class Tracing implements RequestObserver {
  readonly #api: OtelApi;
  readonly #tracer: Tracer;
  readonly #shutdown: () => Promise<void>;
  /** The span of the request that is being served. */
  readonly #serving = new AsyncLocalStorage<Span>();
  /** Where the spans of commands belong that run. */
  readonly #commands = new Map<string, Context>();

  constructor(api: OtelApi, tracer: Tracer, shutdown: () => Promise<void>) {
    this.#api = api;
    this.#tracer = tracer;
    this.#shutdown = shutdown;
  }

  begin(request: ObservedRequest): RequestWatch {
    const { operation, method, path } = request;
    const span = this.#tracer.startSpan(
      `${method} ${path}`,
      {
        kind: this.#api.SpanKind.SERVER,
        attributes: { "http.request.method": method, "http.route": path, "plybox.operation": operation },
      },
      this.#callerOf(request),
    );
    return {
      run: (serve) => this.#serving.run(span, serve),
      end: (result) => this.#end(span, result),
    };
  }

  happened(event: SandboxEvent): void {
    const serving = this.#serving.getStore();
    if (event.type === "exec.ended") {
      this.#commandEnded(event);
      return;
    }
    const attributes = { "plybox.sandbox": event.sandbox, ...detailsOf(event) };
    serving?.addEvent(event.type, attributes, event.at);
    if (event.type !== "exec.started" || serving === undefined) return;
    this.#commands.set(event.exec, this.#api.trace.setSpan(this.#api.ROOT_CONTEXT, serving));
    const [oldest] = this.#commands.keys();
    if (this.#commands.size > MAX_COMMANDS && oldest !== undefined) this.#commands.delete(oldest);
  }

  /** Sends what is left, if that does not take long. */
  async close(): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_MS).unref());
    await Promise.race([this.#shutdown(), late]);
  }

  #callerOf({ header }: ObservedRequest): Context {
    const { ROOT_CONTEXT, TraceFlags, createTraceState, trace } = this.#api;
    const caller = parseTraceparent(header("traceparent"));
    if (caller === undefined) return ROOT_CONTEXT;
    const { traceId, spanId, isSampled } = caller;
    const state = header("tracestate");
    return trace.setSpanContext(ROOT_CONTEXT, {
      ...{ traceId, spanId, isRemote: true, traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE },
      ...(state !== undefined && { traceState: createTraceState(state) }),
    });
  }

  #end(span: Span, { status, code, sandbox, tenant }: ObservedResult): void {
    span.setAttributes({
      "http.response.status_code": status,
      ...(code !== undefined && { "error.type": code }),
      ...(sandbox !== undefined && { "plybox.sandbox": sandbox }),
      ...(tenant !== undefined && { "plybox.tenant": tenant }),
    });
    // What a caller did wrong is no failure of the server's.
    if (status >= 500)
      span.setStatus({ code: this.#api.SpanStatusCode.ERROR, ...(code !== undefined && { message: code }) });
    span.end();
  }

  #commandEnded({ at, sandbox, tenant, report }: Extract<SandboxEvent, { type: "exec.ended" }>): void {
    const parent = this.#commands.get(report.exec);
    this.#commands.delete(report.exec);
    const attributes: Attributes = {
      ...{ "plybox.exec": report.exec, "plybox.sandbox": sandbox, "plybox.tenant": tenant },
      ...(report.code !== null && { "process.exit.code": report.code }),
      ...(report.signal !== null && { "plybox.exec.signal": report.signal }),
      ...(report.limit !== null && { "plybox.exec.limit": report.limit }),
      ...metAttributes(report.limitsMet),
      "plybox.exec.user_ms": report.userMs,
      "plybox.exec.system_ms": report.systemMs,
      "plybox.exec.peak_rss_bytes": report.peakRssBytes,
      ...(report.memoryPeakBytes !== undefined && { "plybox.exec.memory_peak_bytes": report.memoryPeakBytes }),
      "plybox.exec.output_bytes": report.stdoutBytes + report.stderrBytes,
    };
    const startTime = new Date(at.getTime() - report.wallMs);
    const span = this.#tracer.startSpan("exec", { startTime, attributes }, parent ?? this.#api.ROOT_CONTEXT);
    span.end(at);
  }
}

const detailsOf = (event: SandboxEvent): Attributes =>
  event.type === "sandbox.state"
    ? { "plybox.state": event.state.kind }
    : "exec" in event && event.exec !== null
      ? { "plybox.exec": event.exec }
      : {};

const metAttributes = ({ memoryKills, refusedForks, upperFull }: LimitsMet = {}): Attributes => ({
  ...(memoryKills !== undefined && { "plybox.exec.memory_kills": memoryKills }),
  ...(refusedForks !== undefined && { "plybox.exec.refused_forks": refusedForks }),
  ...(upperFull !== undefined && { "plybox.exec.upper_full": upperFull }),
});
