import { describe, expect, it } from "vitest";
import { parseExposition, sampleValue } from "../../test/support/exposition.ts";
import type { EventBody, SandboxEvent } from "../model/event.ts";
import { newExecId, newSandboxId } from "../model/ids.ts";
import type { UsageSample } from "../model/usage.ts";
import type { MetricsSources } from "./metrics.ts";
import { Metrics } from "./metrics.ts";

const SANDBOX = newSandboxId();
const NO_SOURCES: MetricsSources = {
  ...{ version: "1.2.3", sandboxStates: () => [], webhookStates: () => [], launcherRestarts: () => 0 },
};
const metricsOf = (sources: Partial<MetricsSources> = {}) => new Metrics({ ...NO_SOURCES, ...sources });
const read = async (metrics: Metrics) => parseExposition(await metrics.text());

const event = (body: EventBody): SandboxEvent => ({
  ...{ sandbox: SANDBOX, tenant: "default", name: null, labels: {}, at: new Date() },
  ...body,
});
const ended = (report: object): SandboxEvent =>
  event({
    type: "exec.ended",
    exec: newExecId(),
    report: {
      ...{ exec: newExecId(), code: 0, signal: null, limit: null, wallMs: 20, userMs: 1, systemMs: 1 },
      ...{ peakRssBytes: 1, stdoutBytes: 0, stderrBytes: 0, ...report },
    },
  });
const request = (operation: string, method: string) => ({ operation, method, path: "/x", header: () => undefined });

describe("metrics", () => {
  it("are in Prometheus' text format, and know the daemon's own process", async () => {
    const families = await read(metricsOf());
    expect(sampleValue(families, "plybox_build_info")).toBe(1);
    expect(sampleValue(families, "plybox_build_info", { version: "1.2.3" })).toBe(1);
    expect(sampleValue(families, "process_cpu_seconds_total")).toBeGreaterThan(0);
    expect(sampleValue(families, "process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
    expect(sampleValue(families, "process_open_fds")).toBeGreaterThan(3);
    expect(sampleValue(families, "process_start_time_seconds")).toBeLessThan(Date.now() / 1000);
  });

  it("count what happened before anybody asked, and after", async () => {
    const metrics = metricsOf();
    metrics.happened(ended({ stdoutBytes: 7, stderrBytes: 2 }));
    metrics.happened(ended({ code: 3 }));
    await metrics.text();
    metrics.happened(ended({ code: null, signal: "SIGKILL", limit: "memory", stdoutBytes: 5, wallMs: 2000 }));
    metrics.happened(ended({ code: null, signal: "SIGTERM" }));
    metrics.happened(event({ type: "exec.started", exec: newExecId(), by: "local" }));
    metrics.webhookAttempted({ ok: true });
    metrics.webhookAttempted({ ok: false });
    const families = await read(metrics);
    const execs = (labels: Record<string, string>) => sampleValue(families, "plybox_execs_total", labels);
    expect(execs({ result: "success", limit: "" })).toBe(1);
    expect(execs({ result: "failure" })).toBe(1);
    expect(execs({ result: "signal" })).toBe(1);
    expect(execs({ result: "limit", limit: "memory" })).toBe(1);
    expect(sampleValue(families, "plybox_exec_output_bytes_total", { stream: "stdout" })).toBe(12);
    expect(sampleValue(families, "plybox_exec_duration_seconds_count")).toBe(4);
    expect(sampleValue(families, "plybox_exec_duration_seconds_bucket", { le: "1" })).toBe(3);
    expect(sampleValue(families, "plybox_events_total", { type: "exec.ended" })).toBe(4);
    expect(sampleValue(families, "plybox_events_total", { type: "exec.started" })).toBe(1);
    expect(sampleValue(families, "plybox_webhook_attempts_total", { result: "failure" })).toBe(1);
  });

  it("count what has been noted once it is much, though nobody asks again", async () => {
    const metrics = metricsOf();
    await metrics.text();
    let counted = 0;
    const count = (): string => {
      counted += 1;
      return "200";
    };
    const status = { toString: count } as unknown as number;
    const note = (): void => metrics.begin(request("listSandboxes", "GET")).end({ status });
    for (let noted = 1; noted < 512; noted++) note();
    await new Promise((resolve) => setImmediate(resolve));
    expect(counted).toBe(0);
    note();
    await new Promise((resolve) => setImmediate(resolve));
    expect(counted).toBe(512);
  });

  it("tell of requests by operation and status, and how long creating and removing takes", async () => {
    const metrics = metricsOf();
    expect(metrics.begin(request("createSandbox", "POST")).run(() => 42)).toBe(42);
    metrics.begin(request("createSandbox", "POST")).end({ status: 201 });
    metrics.begin(request("createSandbox", "POST")).end({ status: 409, code: "sandbox/name-taken" });
    metrics.begin(request("removeSandbox", "DELETE")).end({ status: 204 });
    const families = await read(metrics);
    const requests = (labels: Record<string, string>) => sampleValue(families, "plybox_api_requests_total", labels);
    expect(requests({ operation: "createSandbox", method: "POST", status: "201" })).toBe(1);
    expect(requests({ operation: "createSandbox", status: "409" })).toBe(1);
    expect(sampleValue(families, "plybox_api_request_duration_seconds_count", { operation: "createSandbox" })).toBe(2);
    expect(sampleValue(families, "plybox_sandbox_create_duration_seconds_count")).toBe(1);
    expect(sampleValue(families, "plybox_sandbox_destroy_duration_seconds_count")).toBe(1);
  });

  it("count states as they are now", async () => {
    let states = ["running", "running", "stopped"];
    const metrics = metricsOf({
      sandboxStates: () => states,
      webhookStates: () => ["failing"],
      launcherRestarts: () => 2,
    });
    const first = await read(metrics);
    expect(sampleValue(first, "plybox_sandboxes", { state: "running" })).toBe(2);
    expect(sampleValue(first, "plybox_webhooks", { state: "failing" })).toBe(1);
    expect(sampleValue(first, "plybox_launcher_restarts_total")).toBe(2);
    states = ["stopped"];
    const second = await read(metrics);
    expect(sampleValue(second, "plybox_sandboxes", { state: "running" })).toBeUndefined();
    expect(sampleValue(second, "plybox_sandboxes", { state: "stopped" })).toBe(1);
    expect(sampleValue(second, "plybox_launcher_restarts_total")).toBe(2);
  });

  it("have series of each sandbox only where that is wanted", async () => {
    expect((await metricsOf().text()).includes("plybox_sandbox_cpu")).toBe(false);
    const sample = {
      ...{ sandbox: SANDBOX, name: 'a"b\\c\nd', cpuMs: 1500, memoryBytes: 7, pids: 3, upperBytes: null, oomKills: 0 },
      ...{ network: null, limits: { memoryBytes: 100, pids: 1, cpus: 1, upperBytes: null } },
    } as unknown as UsageSample;
    const metrics = metricsOf({ usage: async () => [sample] });
    await metrics.text();
    const families = await read(metrics);
    const labels = { sandbox: SANDBOX, name: 'a"b\\c\nd' };
    expect(sampleValue(families, "plybox_sandbox_cpu_seconds_total", labels)).toBe(1.5);
    expect(sampleValue(families, "plybox_sandbox_memory_bytes", labels)).toBe(7);
    expect(sampleValue(families, "plybox_sandbox_upper_bytes", labels)).toBeUndefined();
  });
});

describe("the reader of metrics in these tests", () => {
  const HEAD = "# HELP a_total A.\n# TYPE a_total counter\n";
  it.each([
    ["a_total 1\n", "a sample outside its family"],
    [`${HEAD}a_total 1`, "does not end"],
    [`${HEAD}a_total one\n`, "not a sample"],
    [`${HEAD}a_total 1\na_total 2\n`, "a series twice"],
    [`${HEAD}a_total{x="1",x="2"} 1\n`, "labels are wrong"],
    [`${HEAD}a_total{x="1"y="2"} 1\n`, "labels are wrong"],
    [`${HEAD}b_total 1\n`, "a sample outside its family"],
    [`${HEAD}a_total 1\n${HEAD}`, "comes twice"],
    ["# HELP a A.\n# TYPE a counter\na 1\n", "does not end in _total"],
    ['# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n', "do not rise"],
    ['# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_sum 1\nh_count 2\n', "is not the whole"],
  ])("refuses %j", (text, message) => {
    expect(() => parseExposition(text)).toThrow(message);
  });
});
