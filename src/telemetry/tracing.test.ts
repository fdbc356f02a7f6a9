import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { otlpSpans } from "../../test/support/otlp.ts";
import { Receiver } from "../../test/support/receiver.ts";
import type { EventBody, SandboxEvent } from "../model/event.ts";
import { newExecId, newSandboxId } from "../model/ids.ts";
import type { Tracing } from "./tracing.ts";
import { openTracing } from "./tracing.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const SANDBOX = newSandboxId();
const log = { warn: vi.fn() };
let receiver: Receiver;
let tracing: Tracing;

beforeEach(async () => {
  receiver = await Receiver.start((_request, response) =>
    response.writeHead(200, { "content-type": "application/json" }).end("{}"),
  );
  tracing = await openTracing({ endpoint: `${receiver.url}/`, version: "1.2.3", log });
  log.warn.mockClear();
});
afterEach(() => receiver[Symbol.asyncDispose]());

const request = (headers: Readonly<Record<string, string>> = {}) => ({
  ...{ operation: "exec", method: "POST", path: "/v1/sandboxes/:ref/exec", header: (name: string) => headers[name] },
});
const event = (body: EventBody, at = new Date()): SandboxEvent => ({
  ...{ sandbox: SANDBOX, tenant: "acme", name: null, labels: {}, at },
  ...body,
});

/** What has been received when everything has been sent. */
async function spans() {
  await tracing.close();
  return otlpSpans(receiver.requests);
}

describe("spans", () => {
  it("tell of a request, as JSON by OTLP over HTTP", async () => {
    const watch = tracing.begin(request());
    expect(watch.run(() => 42)).toBe(42);
    watch.end({ status: 201, sandbox: SANDBOX, tenant: "acme" });
    const [span, ...others] = await spans();
    expect(others).toEqual([]);
    expect(receiver.requests[0]).toMatchObject({
      ...{ method: "POST", path: "/v1/traces", headers: { "content-type": "application/json" } },
    });
    expect(span).toMatchObject({
      ...{ name: "POST /v1/sandboxes/:ref/exec", kind: 2, parentSpanId: undefined, status: {} },
      resource: { "service.name": "plybox", "service.version": "1.2.3" },
      attributes: {
        ...{ "http.request.method": "POST", "http.route": "/v1/sandboxes/:ref/exec", "plybox.operation": "exec" },
        ...{ "http.response.status_code": 201, "plybox.sandbox": SANDBOX, "plybox.tenant": "acme" },
      },
    });
  });

  it("belong to the trace of the caller", async () => {
    const headers = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "vendor=1" };
    tracing.begin(request(headers)).end({ status: 200 });
    expect(await spans()).toMatchObject([{ traceId: TRACE, parentSpanId: SPAN, traceState: "vendor=1" }]);
  });

  it("are not made where the caller records none", async () => {
    tracing.begin(request({ traceparent: `00-${TRACE}-${SPAN}-00` })).end({ status: 200 });
    expect(await spans()).toEqual([]);
  });

  it("say what failed: the server, not the caller", async () => {
    tracing.begin(request()).end({ status: 404, code: "sandbox/not-found" });
    tracing.begin(request()).end({ status: 500, code: "internal" });
    expect(await spans()).toMatchObject([
      { attributes: { "error.type": "sandbox/not-found" }, status: {} },
      { attributes: { "error.type": "internal" }, status: { code: 2, message: "internal" } },
    ]);
  });

  it("of commands lie below the request that started them, and last as long as they ran", async () => {
    const exec = newExecId();
    const watch = tracing.begin(request({ traceparent: `00-${TRACE}-${SPAN}-01` }));
    await watch.run(async () => {
      await Promise.resolve();
      tracing.happened(event({ type: "exec.started", exec, by: "ci" }));
    });
    watch.end({ status: 202 });
    const at = new Date(1_767_268_800_000);
    const report = {
      ...{ exec, code: null, signal: "SIGKILL", limit: "memory" as const, wallMs: 1500, userMs: 1, systemMs: 2 },
      ...{ peakRssBytes: 3, stdoutBytes: 4, stderrBytes: 5 },
    };
    tracing.happened(event({ type: "exec.ended", exec, report }, at));
    const [served, command] = await spans();
    expect(served?.events).toMatchObject([{ name: "exec.started" }]);
    expect(command).toMatchObject({
      ...{ name: "exec", traceId: TRACE, parentSpanId: served?.spanId },
      ...{ startTimeUnixNano: "1767268798500000000", endTimeUnixNano: "1767268800000000000" },
      attributes: {
        ...{ "plybox.exec": exec, "plybox.sandbox": SANDBOX, "plybox.exec.limit": "memory" },
        ...{ "plybox.exec.signal": "SIGKILL", "plybox.exec.output_bytes": 9 },
      },
    });
  });

  it("of a command that nobody here started are a trace of their own", async () => {
    const exec = newExecId();
    const report = {
      ...{ exec, code: 0, signal: null, limit: null, wallMs: 1, userMs: 1, systemMs: 2 },
      ...{ peakRssBytes: 3, stdoutBytes: 0, stderrBytes: 0 },
    };
    tracing.happened(event({ type: "exec.ended", exec, report }));
    expect(await spans()).toMatchObject([{ name: "exec", parentSpanId: undefined }]);
  });

  it("that nobody takes are told to the log, and hold nothing up", async () => {
    receiver.respond = (_request, response) => response.writeHead(400).end();
    tracing.begin(request()).end({ status: 200 });
    await tracing.close();
    expect(log.warn).toHaveBeenCalled();
  });
});
