import { once } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { begin, open, send } from "../../test/support/http.ts";
import { ScriptedSession } from "../../test/support/scripted-session.ts";
import type { ServeOptions } from "../../test/support/serve-api.ts";
import { serve } from "../../test/support/serve-api.ts";
import { deferred } from "../base/deferred.ts";
import { PlyboxError } from "../model/errors.ts";
import { newExecId, newSandboxId } from "../model/ids.ts";
import type { Sandbox } from "../model/sandbox.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import { UsageSampler } from "../sandbox/usage/usage-sampler.ts";

const SANDBOX = { id: newSandboxId(), state: { kind: "running", pid: 1, startTime: 1 } } as Sandbox;
const unused = () => {
  throw new Error("not part of this test");
};

/** An API over a service of which a test gives the part that it is about. */
async function apiOver(sandboxes: Partial<Sandboxes>, options: Partial<ServeOptions> = {}) {
  const log = { error: vi.fn() };
  const none = {
    create: unused,
    list: unused,
    remove: unused,
    exec: unused,
    execs: unused,
    attach: unused,
    read: unused,
    wait: unused,
    input: unused,
    forget: unused,
    signal: unused,
    resize: unused,
  };
  const token = "t";
  const served = await serve(
    {
      sandboxes: { ...none, get: () => SANDBOX, ...sandboxes },
      agents: { agent: unused, fileAgent: unused, announce: unused },
      usage: new UsageSampler({ list: unused, get: unused, usage: unused }, { figure: unused }),
      version: "1",
      ready: () => [],
      log,
      ...options,
    },
    token,
  );
  return { ...served, token, spareLayer: "", log };
}

const execRequest = { method: "POST", path: `/v1/sandboxes/${SANDBOX.id}/exec`, body: { command: "x" } };

describe("the API", () => {
  it("tells details of an unknown error to the log alone", async () => {
    const cause = new Error("secret detail");
    await using api = await apiOver({
      list: () => {
        throw cause;
      },
    });
    const answer = await send(api, { path: "/v1/sandboxes" });
    expect(answer.status).toBe(500);
    expect(answer.json()).toMatchObject({ error: { code: "internal" } });
    expect(answer.text).not.toContain("secret");
    expect(api.log.error).toHaveBeenCalledExactlyOnceWith({ err: cause }, expect.any(String));
  });

  it("shows step and errno of a failed launch, logs it, and hides its cause", async () => {
    const error = new PlyboxError("sandbox/launch-failed", "no overlay", {
      step: "overlay",
      errno: "ENOSPC",
      cause: new Error("/secret"),
    });
    await using api = await apiOver({ create: () => Promise.reject(error) });
    const answer = await send(api, { method: "POST", path: "/v1/sandboxes", body: {} });
    expect(answer.json()).toEqual({
      error: { code: "sandbox/launch-failed", message: "no overlay", step: "overlay", errno: "ENOSPC" },
    });
    expect(api.log.error).toHaveBeenCalledWith({ err: error }, "no overlay");
  });

  it("does not log what a client did wrong, and says when to come back", async () => {
    await using api = await apiOver({ create: () => Promise.reject(new PlyboxError("sandbox/too-many", "full")) });
    const answer = await send(api, { method: "POST", path: "/v1/sandboxes", body: {} });
    expect(answer.status).toBe(429);
    expect(answer.headers["retry-after"]).toBe("1");
    expect(api.log.error).not.toHaveBeenCalled();
  });

  it("says why it is not ready", async () => {
    await using api = await apiOver({}, { ready: async () => ["no launcher"] });
    const answer = await send(api, { path: "/v1/ready" });
    expect(answer.status).toBe(503);
    expect(answer.json()).toEqual({ ready: false, reasons: ["no launcher"] });
  });

  it("gives up a create whose client goes away", async () => {
    const entered = deferred<AbortSignal>();
    await using api = await apiOver({
      create: (_spec, signal) => {
        if (signal !== undefined) entered.resolve(signal);
        return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
      },
    });
    const leave = begin(api, { method: "POST", path: "/v1/sandboxes", body: {} });
    const signal = await entered.promise;
    expect(signal.aborted).toBe(false);
    const aborted = once(signal, "abort");
    leave();
    await aborted;
  });

  it("leaves a command alone whose client goes away, and stops listening to it", async () => {
    const session = new ScriptedSession();
    const closed = deferred<void>();
    const close = session.close.bind(session);
    session.close = () => {
      close();
      closed.resolve();
    };
    const entered = deferred<AbortSignal | undefined>();
    await using api = await apiOver({
      exec: async (_ref, _request, signal) => {
        entered.resolve(signal);
        return session;
      },
    });
    const leave = begin(api, execRequest);
    expect(await entered.promise).toBeUndefined();
    leave();
    await closed.promise;
  });

  it("stops listening when the reader of a stream goes away", async () => {
    const session = new ScriptedSession();
    const closed = deferred<void>();
    const close = session.close.bind(session);
    session.close = () => {
      close();
      closed.resolve();
    };
    await using api = await apiOver({ exec: async () => session });
    const headers = { accept: "text/event-stream", "content-type": "application/json" };
    const incoming = await open(api, { ...execRequest, headers, body: JSON.stringify(execRequest.body) });
    incoming.destroy();
    await closed.promise;
  });

  it("answers with the output that fits, and says how much did not", async () => {
    const session = new ScriptedSession().output("x".repeat(300)).exit({ stdoutBytes: 300 });
    await using api = await apiOver({ exec: async () => session }, { collectBytes: 256 });
    const answer = await send(api, execRequest);
    expect(answer.json()).toMatchObject({ stdout: "x".repeat(256), truncated: { stdout: 44, stderr: 0 } });
  });

  it("asks the service for exactly what the body says", async () => {
    const requests: unknown[] = [];
    await using api = await apiOver({
      exec: async (ref, request) => {
        requests.push([ref, request]);
        return new ScriptedSession().exit();
      },
    });
    const exec = newExecId();
    const body = {
      command: ["a", "b"],
      cwd: "/c",
      env: { D: "e" },
      user: "f:g",
      stdin: { text: "h" },
      merge: true,
      timeLimitMs: 1,
      outputLimitBytes: 2,
      ringBytes: 4096,
      encoding: "base64",
      exec,
    };
    await send(api, { ...execRequest, body });
    const { cwd, env, user, merge, ringBytes } = body;
    const asked = {
      exec,
      command: ["a", "b"],
      cwd,
      env,
      user,
      stdin: true,
      merge,
      wallMs: 1,
      outputBytes: 2,
      ringBytes,
    };
    expect(requests).toEqual([[SANDBOX.id, asked]]);
  });

  it("feeds given input and closes it", async () => {
    const session = new ScriptedSession();
    await using api = await apiOver({ exec: async () => session });
    const sent = send(api, { ...execRequest, body: { command: "x", stdin: { base64: "aGk=" } } });
    await expect.poll(() => session.inputEnded).toBe(true);
    expect(session.written).toEqual(["hi"]);
    session.exit();
    expect((await sent).status).toBe(200);
  });
});
