import { describe, expect, it } from "vitest";
import { ScriptedSession } from "../../test/support/scripted-session.ts";
import { newSandboxId } from "../model/ids.ts";
import { OpenSessions } from "./open-sessions.ts";

const SANDBOX = newSandboxId();
const never = () => Promise.reject(new Error("must not attach"));
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("an open session", () => {
  it("is closed by its reader when nobody else uses it", () => {
    const session = new ScriptedSession();
    const share = new OpenSessions().read(SANDBOX, session, true);
    share.release();
    share.release();
    expect(session.isClosed).toBe(true);
  });

  it("is shared by who writes to its command, and outlives the reader", async () => {
    const open = new OpenSessions();
    const session = new ScriptedSession();
    const reader = open.read(SANDBOX, session, true);
    const pending = reader.events.next();
    const writer = await open.write(SANDBOX, session.exec, never);
    expect(writer.session).toBe(session);
    reader.release();
    expect(session.isClosed).toBe(false);
    session.output("to the reader that asked").output("to nobody").output("to nobody");
    await pending;
    await settled();
    expect(session.taken).toBe(3);
    writer.release();
    expect(session.isClosed).toBe(true);
  });

  it("is attached to for a writer without a reader, and its output does not pile up", async () => {
    const open = new OpenSessions();
    const session = new ScriptedSession().output("old");
    const writer = await open.write(SANDBOX, session.exec, async () => session);
    await settled();
    expect(session.taken).toBe(1);
    writer.release();
    expect(session.isClosed).toBe(true);
    const next = new ScriptedSession();
    expect((await open.write(SANDBOX, session.exec, async () => next)).session).toBe(next);
  });

  it("is not shared with another sandbox", async () => {
    const open = new OpenSessions();
    const session = new ScriptedSession();
    open.read(SANDBOX, session, true);
    await expect(open.write(newSandboxId(), session.exec, never)).rejects.toThrow("must not attach");
  });

  it("takes no input where stdin is not open", async () => {
    const open = new OpenSessions();
    const session = new ScriptedSession();
    open.read(SANDBOX, session, false);
    await expect(open.write(SANDBOX, session.exec, never)).rejects.toMatchObject({ code: "exec/refused" });
  });

  it("gives way to a later one of the same command", async () => {
    const open = new OpenSessions();
    const first = new ScriptedSession();
    const second = Object.assign(new ScriptedSession(), { exec: first.exec });
    const old = open.read(SANDBOX, first, true);
    open.read(SANDBOX, second, true);
    old.release();
    expect((await open.write(SANDBOX, first.exec, never)).session).toBe(second);
  });
});
