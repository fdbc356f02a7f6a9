import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { parseExposition, sampleValue } from "../support/exposition.ts";
import { send } from "../support/http.ts";
import { otlpSpans } from "../support/otlp.ts";
import { Receiver } from "../support/receiver.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
afterEach(() => daemon[Symbol.asyncDispose]());

async function start(env: NodeJS.ProcessEnv = {}) {
  daemon = new TestDaemon({ PLYBOX_LISTEN: "127.0.0.1:0", ...env });
  const { urls } = await daemon.start();
  const port = Number(new URL(urls[1] ?? "").port);
  const token = readFileSync(daemon.config.tokenFile, "utf8").trim();
  return { socketPath: daemon.config.socket, port, token, spareLayer: "", [Symbol.asyncDispose]: async () => {} };
}

describe("GET /metrics", () => {
  it("tells of sandboxes and requests, and of commands when they have ended", async () => {
    const api = await start();
    const sandbox = await daemon.client.create({ layers: ["busybox"] });
    await sandbox.exec("echo hello; exit 3");
    await (await daemon.client.create({ layers: ["busybox"] })).remove();
    const execs = { result: "failure", limit: "" };
    const ask = () => send(api, { path: "/metrics" });
    // An end is told of some milliseconds after whoever waited for it has it.
    await expect
      .poll(async () => sampleValue(parseExposition((await ask()).text), "plybox_execs_total", execs))
      .toBe(1);
    const answer = await ask();
    expect(answer.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    const families = parseExposition(answer.text);
    expect(sampleValue(families, "plybox_sandboxes", { state: "running" })).toBe(1);
    expect(sampleValue(families, "plybox_sandbox_create_duration_seconds_count")).toBe(2);
    expect(sampleValue(families, "plybox_sandbox_destroy_duration_seconds_count")).toBe(1);
    const requests = { operation: "exec", method: "POST", status: "200" };
    expect(sampleValue(families, "plybox_api_requests_total", requests)).toBe(1);
    expect(sampleValue(families, "plybox_launcher_restarts_total")).toBe(0);
    expect(sampleValue(families, "plybox_exec_output_bytes_total", { stream: "stdout" })).toBe(6);
    expect(sampleValue(families, "plybox_exec_duration_seconds_count")).toBe(1);
    expect(answer.text).not.toContain(sandbox.id);
  });

  it("has series of each sandbox where that is configured", async () => {
    const api = await start({ PLYBOX_SANDBOX_METRICS: "true" });
    const { id } = await daemon.client.create({ name: "web", layers: ["busybox"] });
    const families = parseExposition((await send(api, { path: "/metrics" })).text);
    const labels = { sandbox: id, name: "web" };
    expect(sampleValue(families, "plybox_sandbox_memory_bytes", labels)).toBeGreaterThan(0);
    expect(sampleValue(families, "plybox_sandbox_cpu_seconds_total", labels)).toBeGreaterThan(0);
    expect(sampleValue(families, "plybox_sandbox_pids", labels)).toBe(1);
  });

  it("is the operator's, and wants the token on TCP", async () => {
    const api = await start();
    expect((await send(api, { path: "/metrics", via: "tcp" })).status).toBe(401);
    const authorization = `Bearer ${api.token}`;
    expect((await send(api, { path: "/metrics", via: "tcp", headers: { authorization } })).status).toBe(200);
    const { secret } = await daemon.client.keys.create({ name: "k", scopes: ["admin"] });
    const key = { authorization: `Bearer ${secret}` };
    expect((await send(api, { path: "/metrics", via: "tcp", headers: key })).status).toBe(403);
  });
});

describe("spans", () => {
  it("of a sandbox's life are in the trace of its caller", async () => {
    await using receiver = await Receiver.start((_request, response) => response.writeHead(200).end("{}"));
    const api = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
    const traced = { headers: { traceparent } };
    const created = await send(api, {
      ...traced,
      method: "POST",
      path: "/v1/sandboxes",
      body: { layers: ["busybox"] },
    });
    const { id } = created.json<{ id: string }>();
    const exec = { ...traced, method: "POST", path: `/v1/sandboxes/${id}/exec`, body: { command: "exit 7" } };
    expect((await send(api, exec)).json()).toMatchObject({ exitCode: 7 });
    await send(api, { ...traced, method: "DELETE", path: `/v1/sandboxes/${id}` });
    await daemon.restart();
    await expect.poll(() => otlpSpans(receiver.requests).length).toBeGreaterThanOrEqual(3);
    const spans = otlpSpans(receiver.requests).filter((span) => span.traceId === traceId);
    expect(spans.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["POST /v1/sandboxes", "POST /v1/sandboxes/:ref/exec", "DELETE /v1/sandboxes/:ref"]),
    );
    const [served, command] = ["POST /v1/sandboxes/:ref/exec", "exec"].map((name) =>
      spans.find((span) => span.name === name),
    );
    expect(command).toMatchObject({ parentSpanId: served?.spanId, attributes: { "process.exit.code": 7 } });
    const create = spans.find(({ name }) => name === "POST /v1/sandboxes");
    expect(create?.events).toMatchObject([{ name: "sandbox.state" }]);
    for (const span of spans) expect(span.attributes).toMatchObject({ "plybox.sandbox": id });
  });
});
