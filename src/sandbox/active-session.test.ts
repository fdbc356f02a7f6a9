import { beforeEach, expect, it } from "vitest";
import { ScriptedSession } from "../../test/support/scripted-session.ts";
import type { ExecSession } from "../model/exec.ts";
import { ActiveSession } from "./active-session.ts";
import { Activity } from "./activity.ts";

let activity: Activity;
let session: ScriptedSession;
let active: ExecSession;
/** Whether the session counts: time passes between two looks. */
const isIdle = async (): Promise<boolean> => {
  await new Promise((resolve) => setTimeout(resolve, 2));
  return activity.idleMs > 0;
};

beforeEach(async () => {
  activity = new Activity();
  session = new ScriptedSession();
  expect(await isIdle()).toBe(true);
  active = new ActiveSession(session, activity);
});

it("counts from its beginning to the command's end", async () => {
  expect(await isIdle()).toBe(false);
  session.output("a").exit();
  const kinds: string[] = [];
  for await (const event of active) {
    kinds.push(event.kind);
    if (event.kind === "exit") break;
    expect(await isIdle()).toBe(false);
  }
  expect(kinds).toEqual(["output", "exit"]);
  expect(await isIdle()).toBe(true);
});

it("counts no longer when it is closed, also twice", async () => {
  active.close();
  active.close();
  expect(session.isClosed).toBe(true);
  expect(await isIdle()).toBe(true);
});

it("counts no longer when it fails", async () => {
  const events = active[Symbol.asyncIterator]();
  const failed = expect(events.next()).rejects.toThrow("gone");
  session.fail(new Error("gone"));
  await failed;
  expect(await isIdle()).toBe(true);
});

it("counts no longer when its reader leaves", async () => {
  session.output("a").output("b");
  for await (const _ of active) break;
  expect(await isIdle()).toBe(true);
});

it("passes on what it is told", async () => {
  await active.write(Buffer.from("in"));
  await active.endInput();
  expect(session).toMatchObject({ written: ["in"], inputEnded: true });
  expect(active).toMatchObject({ exec: session.exec, pid: session.pid });
});
