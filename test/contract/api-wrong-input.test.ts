import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ErrorCode } from "../../src/model/errors.ts";
import { ERRORS } from "../../src/model/errors.ts";
import type { ApiSubject } from "../support/api.ts";
import { startApi } from "../support/api.ts";
import type { Request } from "../support/http.ts";
import { open, send, sendRaw } from "../support/http.ts";

let api: ApiSubject;
const NAME = "steady";

beforeAll(async () => {
  api = await startApi();
  const { status } = await send(api, { method: "POST", path: "/v1/sandboxes", body: { name: NAME } });
  expect(status).toBe(201);
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

interface Wrong extends Request {
  readonly code: ErrorCode;
  readonly field?: string;
}

const create = (body: Request["body"], headers?: Record<string, string>): Request => ({
  method: "POST",
  path: "/v1/sandboxes",
  ...(body !== undefined && { body }),
  ...(headers !== undefined && { headers }),
});
const exec = (body: Request["body"]): Request => ({ ...create(body), path: `/v1/sandboxes/${NAME}/exec` });
const JSON_TYPE = { "content-type": "application/json" };
const UNKNOWN_EXEC = `ex_${"0".repeat(26)}`;

const invalid = (request: Request, field?: string): Wrong => ({
  ...request,
  code: "input/invalid",
  ...(field !== undefined && { field }),
});

const WRONG: Record<string, Wrong> = {
  "an unknown field": invalid(create({ colour: "red" }), "colour"),
  "an unknown field inside another": invalid(create({ limits: { memoryBites: 1 } }), "limits.memoryBites"),
  "host binds": invalid(create({ binds: [{ source: "/", target: "/mnt" }] }), "binds"),
  "a prototype for a field": invalid(create('{"__proto__":{"name":"x"}}', JSON_TYPE), "__proto__"),
  "a prototype in the environment": invalid(create('{"env":{"__proto__":"x"}}', JSON_TYPE), "__proto__"),
  "a body that is no object": invalid(create([])),
  "a number for a name": invalid(create({ name: 7 }), "name"),
  "a name that is no DNS label": invalid(create({ name: "Web_1" }), "name"),
  "a name with a path": invalid(create({ name: "../../etc" }), "name"),
  "a layer with a path": invalid(create({ layers: ["../../etc"] }), "layers.0"),
  "no layers at all": invalid(create({ layers: [] }), "layers"),
  "65 layers": invalid(create({ layers: Array(65).fill("000-base") }), "layers"),
  "a missing layer": { ...create({ layers: ["777-missing"] }), code: "layer/not-found", field: "layers" },
  "too little memory": invalid(create({ limits: { memoryBytes: 4 * 1024 ** 2 - 1 } }), "limits.memoryBytes"),
  "too much memory": invalid(create({ limits: { memoryBytes: 1024 ** 4 + 1 } }), "limits.memoryBytes"),
  "half a byte": invalid(create({ limits: { memoryBytes: 5_000_000.5 } }), "limits.memoryBytes"),
  "memory as text": invalid(create({ limits: { memoryBytes: "512M" } }), "limits.memoryBytes"),
  "memory beyond all numbers": invalid(create('{"limits":{"memoryBytes":1e999}}', JSON_TYPE), "limits.memoryBytes"),
  "no processes": invalid(create({ limits: { pids: 0 } }), "limits.pids"),
  "too many processes": invalid(create({ limits: { pids: 4_194_305 } }), "limits.pids"),
  "too little processor": invalid(create({ limits: { cpus: 0.009 } }), "limits.cpus"),
  "too much processor": invalid(create({ limits: { cpus: 1025 } }), "limits.cpus"),
  "no weight": invalid(create({ limits: { cpuWeight: 0 } }), "limits.cpuWeight"),
  "too much weight": invalid(create({ limits: { cpuWeight: 10_001 } }), "limits.cpuWeight"),
  "too few open files": invalid(create({ limits: { openFiles: 15 } }), "limits.openFiles"),
  "too many open files": invalid(create({ limits: { openFiles: 1_048_577 } }), "limits.openFiles"),
  "files of next to nothing": invalid(create({ limits: { fileSizeBytes: 1023 } }), "limits.fileSizeBytes"),
  "too few inodes": invalid(create({ upper: { kind: "tmpfs", inodes: 63 } }), "upper.inodes"),
  "an unknown kind of upper": invalid(create({ upper: { kind: "floppy" } }), "upper.kind"),
  "a disk upper of next to nothing": invalid(create({ upper: { kind: "disk", bytes: 16_777_215 } }), "upper.bytes"),
  "a disk upper beyond all disks": invalid(create({ upper: { kind: "disk", bytes: 2 ** 40 + 1 } }), "upper.bytes"),
  "too few inodes on disk": invalid(create({ upper: { kind: "disk", bytes: 2 ** 24, inodes: 63 } }), "upper.inodes"),
  "a host name that is no DNS label": invalid(create({ hostname: "a.b" }), "hostname"),
  "an environment name with a dash": invalid(create({ env: { "A-B": "x" } }), "env.A-B"),
  "an environment value with NUL": invalid(create({ env: { A: "x\0y" } }), "env.A"),
  "a name that is taken": { ...create({ name: NAME }), code: "sandbox/name-taken", field: "name" },

  "no command": invalid(exec({}), "command"),
  "a number for a command": invalid(exec({ command: 7 }), "command"),
  "an empty shell line": invalid(exec({ command: "" }), "command"),
  "an empty list": invalid(exec({ command: [] }), "command"),
  "an empty program": invalid(exec({ command: [""] }), "command.0"),
  "NUL in a shell line": invalid(exec({ command: "echo \0" }), "command"),
  "NUL in an argument": invalid(exec({ command: ["echo", "a\0b"] }), "command.1"),
  "half a surrogate pair in an argument": invalid(
    { ...exec('{"command":["echo","\\ud800"]}'), headers: JSON_TYPE },
    "command.1",
  ),
  "an argument over 128 KiB": invalid(exec({ command: ["echo", "é".repeat(64 * 1024)] }), "command.1"),
  "less memory than a program starts with": invalid(
    exec({ command: "true", memoryLimitBytes: 1024 ** 2 - 1 }),
    "memoryLimitBytes",
  ),
  "more memory than there is": invalid(exec({ command: "true", memoryLimitBytes: 1024 ** 4 + 1 }), "memoryLimitBytes"),
  "a part of a byte": invalid(exec({ command: "true", memoryLimitBytes: 5e6 + 0.5 }), "memoryLimitBytes"),
  "a relative directory": invalid(exec({ command: "true", cwd: "tmp" }), "cwd"),
  "NUL in a directory": invalid(exec({ command: "true", cwd: "/tmp\0" }), "cwd"),
  "a user with a path": invalid(exec({ command: "true", user: "../root" }), "user"),
  "an unknown stdin": invalid(exec({ command: "cat", stdin: "tape" }), "stdin"),
  "stdin that is no base64": invalid(exec({ command: "cat", stdin: { base64: "%%%" } }), "stdin.base64"),
  "stdin of both kinds": invalid(exec({ command: "cat", stdin: { text: "a", base64: "" } }), "stdin"),
  "no time at all": invalid(exec({ command: "true", timeLimitMs: 0 }), "timeLimitMs"),
  "too much time": invalid(exec({ command: "true", timeLimitMs: 2 ** 31 + 1 }), "timeLimitMs"),
  "no output at all": invalid(exec({ command: "true", outputLimitBytes: 0 }), "outputLimitBytes"),
  "a ring that is too small": invalid(exec({ command: "true", ringBytes: 1 }), "ringBytes"),
  "an unknown encoding": invalid(exec({ command: "true", encoding: "utf16" }), "encoding"),
  "an exec id with a path": invalid(exec({ command: "true", exec: "../x" }), "exec"),
  "an unknown field of exec": invalid(exec({ command: "true", timeout: 5 }), "timeout"),
  "a command in a sandbox that is not there": {
    ...exec({ command: "true" }),
    path: "/v1/sandboxes/nobody/exec",
    code: "sandbox/not-found",
  },
  "a program that is not there": { ...exec({ command: ["/no/such/program"] }), code: "exec/program-not-found" },
  "a program that is not executable": { ...exec({ command: ["/etc/passwd"] }), code: "exec/not-executable" },

  "a signal to a command that is not there": {
    method: "POST",
    path: `/v1/sandboxes/${NAME}/execs/${UNKNOWN_EXEC}/signal`,
    body: { signal: "SIGTERM" },
    code: "exec/not-found",
  },
  "an unknown signal": invalid(
    { ...create({ signal: "SIGFOO" }), path: `/v1/sandboxes/${NAME}/execs/${UNKNOWN_EXEC}/signal` },
    "signal",
  ),
  "an unknown scope": invalid(
    { ...create({ signal: "SIGTERM", scope: "world" }), path: `/v1/sandboxes/${NAME}/execs/${UNKNOWN_EXEC}/signal` },
    "scope",
  ),
  "output of a command that is not there": {
    path: `/v1/sandboxes/${NAME}/execs/${UNKNOWN_EXEC}/output`,
    code: "exec/not-found",
  },
  "output of a command with a path": invalid({ path: `/v1/sandboxes/${NAME}/execs/..%2f..%2fx/output` }, "exec"),
  "output from a negative offset": invalid(
    { path: `/v1/sandboxes/${NAME}/execs/${UNKNOWN_EXEC}/output?stdout=-1` },
    "stdout",
  ),
  "output from an offset given twice": invalid(
    { path: `/v1/sandboxes/${NAME}/execs/${UNKNOWN_EXEC}/output?stdout=1&stdout=2` },
    "stdout",
  ),
  "output from an unknown stream": invalid(
    { path: `/v1/sandboxes/${NAME}/execs/${UNKNOWN_EXEC}/output?stdin=1` },
    "stdin",
  ),
  "stdin of a command that is not there": {
    method: "POST",
    path: `/v1/sandboxes/${NAME}/execs/${UNKNOWN_EXEC}/stdin`,
    body: "x",
    code: "exec/not-found",
  },

  "an unknown sandbox": { path: "/v1/sandboxes/nobody", code: "sandbox/not-found" },
  "an unknown sandbox to remove": { method: "DELETE", path: "/v1/sandboxes/nobody", code: "sandbox/not-found" },
  "a sandbox id with a path": invalid({ path: "/v1/sandboxes/..%2f..%2fetc" }, "ref"),
  "a sandbox id with NUL": invalid({ path: "/v1/sandboxes/%00" }, "ref"),
  "a sandbox id that is no UTF-8": invalid({ path: "/v1/sandboxes/%ff" }, "ref"),
  "a sandbox to remove, with a path": invalid({ method: "DELETE", path: "/v1/sandboxes/%2e%2e%2fx" }, "ref"),
  "a path that climbs out": { path: "/v1/sandboxes/../../etc/passwd", code: "route/not-found" },
  "a query where none is": invalid({ path: "/v1/sandboxes?verbose=1" }, "verbose"),
  "a label with a space": invalid(create({ labels: { "a b": "x" } }), "labels.a b"),
  "a label that ends with a dot": invalid(create({ labels: { "a.": "x" } }), "labels.a."),
  "a label that is no text": invalid(create({ labels: { a: 1 } }), "labels.a"),
  "a label over 256 characters": invalid(create({ labels: { a: "x".repeat(257) } }), "labels.a"),
  "65 labels": invalid(create({ labels: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [n, ""])) }), "labels"),
  "no life at all": invalid(create({ lifetimeMs: 0 }), "lifetimeMs"),
  "a life over ten years": invalid(create({ lifetimeMs: 315_360_000_001 }), "lifetimeMs"),
  "an idle time as text": invalid(create({ idleMs: "1h" }), "idleMs"),
  "an unknown end": invalid(create({ onExpire: "explode" }), "onExpire"),
  "a start without a command": invalid(create({ start: {} }), "start.command"),
  "an unknown restart policy": invalid(create({ start: { command: "x", restart: "maybe" } }), "start.restart"),
  "an unknown field of a start": invalid(create({ start: { command: "x", retries: 1 } }), "start.retries"),
  "fewer than no restarts": invalid(create({ start: { command: "x", maxRestarts: -1 } }), "start.maxRestarts"),
  "an unknown probe": invalid(create({ readyProbe: { kind: "hope" } }), "readyProbe.kind"),
  "a probe of no port": invalid(create({ readyProbe: { kind: "tcp", port: 0 } }), "readyProbe.port"),
  "a probe of a path that breaks the line": invalid(
    create({ readyProbe: { kind: "http", port: 80, path: "/ HTTP/1.1\r\nX: y" } }),
    "readyProbe.path",
  ),
  "a probe that is looked at without a pause": invalid(
    create({ readyProbe: { kind: "tcp", port: 80, intervalMs: 0 } }),
    "readyProbe.intervalMs",
  ),
  "a label to set that is no text": invalid(
    { method: "PATCH", path: `/v1/sandboxes/${NAME}`, body: { labels: { a: 1 } } },
    "labels.a",
  ),
  "a change of the limits": invalid({ method: "PATCH", path: `/v1/sandboxes/${NAME}`, body: { limits: {} } }, "limits"),
  "a change of a sandbox that is not there": {
    ...{ method: "PATCH", path: "/v1/sandboxes/nobody", body: {} },
    code: "sandbox/not-found",
  },
  "an extension of nothing": invalid({ ...create({}), path: `/v1/sandboxes/${NAME}/extend` }, "lifetimeMs"),
  "a pause of a sandbox that is not there": {
    ...{ method: "POST", path: "/v1/sandboxes/nobody/pause" },
    code: "sandbox/not-found",
  },
  "a list of an unknown state": invalid({ path: "/v1/sandboxes?state=tired" }, "state.0"),
  "a list of more than a page": invalid({ path: "/v1/sandboxes?limit=1001" }, "limit"),
  "a list of a page twice": invalid({ path: "/v1/sandboxes?limit=1&limit=2" }, "limit"),
  "a list by half a pattern": invalid({ path: "/v1/sandboxes?name=a*b" }, "name.0"),
  "a wait for something else": invalid({ path: `/v1/sandboxes/${NAME}?wait=rain` }, "wait"),

  "an unknown layer": { path: "/v1/layers/777-missing", code: "layer/not-found" },
  "a layer with a path in its name": invalid({ method: "DELETE", path: "/v1/layers/..%2f000-base" }, "layer"),
  "an unknown layer to remove": { method: "DELETE", path: "/v1/layers/777-missing", code: "layer/not-found" },

  "an unknown path": { path: "/v2/sandboxes", code: "route/not-found" },
  "a wrong method": { method: "PUT", path: `/v1/sandboxes/${NAME}`, code: "route/method-not-allowed" },
  "an unknown method of a known path": { method: "PATCH", path: "/v1/sandboxes", code: "route/method-not-allowed" },
  "a head of a stream": {
    method: "OPTIONS",
    path: `/v1/sandboxes/${NAME}/execs/${UNKNOWN_EXEC}/output`,
    code: "route/method-not-allowed",
  },
  "no JSON": invalid(create("{", JSON_TYPE)),
  "an empty body": invalid(create("", JSON_TYPE)),
  "JSON nested 200,000 deep": invalid(create("[".repeat(200_000) + "]".repeat(200_000), JSON_TYPE)),
  "a deep object in a field": invalid(
    create(`{"name":${'{"a":'.repeat(90_000)}1${"}".repeat(90_000)}}`, JSON_TYPE),
    "name",
  ),
  "no UTF-8": invalid(create(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), JSON_TYPE)),
  "no content type": invalid(create("{}"), "content-type"),
  "a wrong content type": invalid(create("{}", { "content-type": "text/plain" }), "content-type"),
  "a wrong charset": invalid(create("{}", { "content-type": "application/json; charset=utf-16" }), "content-type"),
  "a compressed body": invalid(create("{}", { ...JSON_TYPE, "content-encoding": "gzip" }), "content-encoding"),
  "a 10 MB body": { ...create("x".repeat(10_000_000), JSON_TYPE), code: "input/too-large" },
  "a 10 MB body of unknown length": {
    ...create("x".repeat(10_000_000), { ...JSON_TYPE, "transfer-encoding": "chunked" }),
    code: "input/too-large",
  },
  "no token on TCP": { path: "/v1/sandboxes", via: "tcp", code: "auth/missing" },
  "an empty token on TCP": { path: "/v1/sandboxes", via: "tcp", headers: bearer(""), code: "auth/refused" },
  "a wrong token on TCP": { path: "/v1/sandboxes", via: "tcp", headers: bearer("guess"), code: "auth/refused" },
  "another scheme on TCP": {
    path: "/v1/sandboxes",
    via: "tcp",
    headers: { authorization: "Basic Zm9vOmJhcg==" },
    code: "auth/refused",
  },
  "a create without a token on TCP": { ...create({ name: "sneaky" }), via: "tcp", code: "auth/missing" },
  "an unknown path without a token on TCP": { path: "/v1/secret", via: "tcp", code: "auth/missing" },
};

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** All that the API shows of its state. */
async function state(): Promise<unknown> {
  const paths = ["/v1/sandboxes", "/v1/layers", `/v1/sandboxes/${NAME}/execs`];
  return await Promise.all(paths.map(async (path) => (await send(api, { path })).json()));
}

const errorOf = (text: string): { code: string; message: string; field?: string } => JSON.parse(text).error;

describe("wrong input", () => {
  for (const [name, { code, field, ...request }] of Object.entries(WRONG)) {
    it(`refuses ${name} and changes nothing`, async () => {
      const before = await state();
      const { status, text, headers } = await send(api, request);
      const error = errorOf(text);
      expect(error).toMatchObject({ code });
      expect(error.message).not.toBe("");
      if (field !== undefined || code === "input/invalid") expect(error.field).toBe(field);
      expect(status).toBe(ERRORS[code].http);
      expect(headers["content-type"]).toBe("application/json");
      expect(await state()).toEqual(before);
    });
  }

  it("names the methods that a path has", async () => {
    const { headers } = await send(api, { method: "PUT", path: `/v1/sandboxes/${NAME}` });
    expect(headers.allow).toBe("GET, DELETE, PATCH");
  });

  it("asks for a bearer token by its scheme", async () => {
    const { headers } = await send(api, { path: "/v1/version", via: "tcp" });
    expect(headers["www-authenticate"]).toBe("Bearer");
  });

  it("refuses a head of an event stream", async () => {
    const path = `/v1/sandboxes/${NAME}/execs/${UNKNOWN_EXEC}/output`;
    expect((await send(api, { method: "HEAD", path })).status).toBe(405);
  });
});

describe("broken connections", () => {
  const head = (length: number) =>
    `POST /v1/sandboxes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;

  it("makes nothing of a body that breaks off", async () => {
    const before = await state();
    await sendRaw(api, `${head(30)}{"name":"half"}`);
    expect(await state()).toEqual(before);
  });

  it("makes nothing of a head that breaks off", async () => {
    const before = await state();
    const answer = await sendRaw(api, "POST /v1/sandboxes HTTP/1.1\r\nhost: x\r\ncontent-ty");
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"input/invalid"');
    expect(await state()).toEqual(before);
  });

  it("refuses a body by the length that it announces, before any of it comes", async () => {
    const incoming = await open(api, {
      method: "POST",
      path: "/v1/sandboxes",
      headers: { ...JSON_TYPE, "content-length": "10000000", expect: "100-continue" },
    });
    incoming.destroy();
    expect(incoming.statusCode).toBe(413);
  });

  it("takes nothing that follows the announced length for a part of the body", async () => {
    const before = await state();
    const answer = await sendRaw(api, `${head(2)}{]{"name":"smuggled"}`);
    const statuses = new Set([...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((match) => match[1]));
    expect([...statuses]).toEqual(["400"]);
    expect(await state()).toEqual(before);
  });

  it("refuses two lengths", async () => {
    const answer = await sendRaw(api, `${head(2).replace("\r\n\r\n", "\r\ncontent-length: 3\r\n\r\n")}{}`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("refuses a length beside chunks", async () => {
    const answer = await sendRaw(
      api,
      `${head(2).replace("\r\n\r\n", "\r\ntransfer-encoding: chunked\r\n\r\n")}0\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("refuses what is no HTTP", async () => {
    const answer = await sendRaw(api, Buffer.from([0x16, 0x03, 0x01, 0x00, 0xa5, 0x01]));
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"input/invalid"');
  });

  it("refuses a request without a host", async () => {
    const answer = await sendRaw(api, "GET /v1/health HTTP/1.1\r\nconnection: close\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"input/invalid"');
  });

  it("refuses headers without end", async () => {
    const answer = await sendRaw(api, `GET /v1/health HTTP/1.1\r\nhost: x\r\nx-long: ${"a".repeat(40_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain('"code":"input/too-large"');
  });

  it("answers pipelined requests in their order", async () => {
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
    const bad = `${head(2)}[]`;
    const answer = await sendRaw(api, get("/v1/health") + get("/v1/sandboxes/nobody") + bad + get("/v1/version"));
    expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual(["200", "404", "400", "200"]);
  });

  it("serves the next request of a connection after a refused one", async () => {
    const big = "x".repeat(2_000_000);
    const next = "GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n";
    const answer = await sendRaw(api, head(big.length) + big + next);
    expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual(["413", "200"]);
  });
});
