import { describe, expect, it } from "vitest";
import { ScriptedSession } from "../../test/support/scripted-session.ts";
import { deferred } from "../base/deferred.ts";
import { collect } from "./collect.ts";
import { RightOfWay } from "./right-of-way.ts";

const turns = new RightOfWay().stream();
const utf8 = { turns, encoding: "utf8", maxBytes: 10 } as const;

describe("a collected answer", () => {
  it("holds all output where it fits, and says nothing of truncation", async () => {
    const session = new ScriptedSession().output("hello").output("wörl", "stderr").exit({ code: 3 });
    const result = await collect(session, utf8);
    expect(result).toMatchObject({ exec: session.exec, exitCode: 3, stdout: "hello", stderr: "wörl" });
    expect(result).not.toHaveProperty("truncated");
    expect(result).not.toHaveProperty("notUtf8");
  });

  it("takes output when it is its turn", async () => {
    const turn = deferred();
    const session = new ScriptedSession().output("hello").exit();
    const collecting = collect(session, { ...utf8, turns: () => turn.promise });
    await new Promise((resolve) => setImmediate(resolve));
    expect(session.taken).toBe(1);
    turn.resolve();
    expect(await collecting).toMatchObject({ stdout: "hello" });
  });

  it("counts what does not fit, of both streams together", async () => {
    const session = new ScriptedSession().output("12345678").output("abcde", "stderr").output("9", "stdout", 8).exit();
    const result = await collect(session, utf8);
    expect(result).toMatchObject({ stdout: "12345678", stderr: "ab", truncated: { stdout: 1, stderr: 3 } });
  });

  it("counts what was lost before it could be read", async () => {
    const session = new ScriptedSession().say({ kind: "lost", stream: "stderr", from: 0, to: 70 }).exit();
    expect(await collect(session, utf8)).toMatchObject({ truncated: { stdout: 0, stderr: 70 } });
  });

  it("names the streams whose bytes are no text, and keeps them whole as base64", async () => {
    const bytes = Buffer.from([0x61, 0xff]);
    expect(await collect(new ScriptedSession().output(bytes).exit(), utf8)).toMatchObject({
      stdout: "a\ufffd",
      notUtf8: ["stdout"],
    });
    const exact = await collect(new ScriptedSession().output(bytes).exit(), {
      turns,
      encoding: "base64",
      maxBytes: 10,
    });
    expect(exact.stdout).toBe("Yf8=");
    expect(exact).not.toHaveProperty("notUtf8");
  });

  it("is given up when the session is closed", async () => {
    const session = new ScriptedSession().output("some");
    const collecting = collect(session, utf8);
    session.close();
    await expect(collecting).rejects.toMatchObject({ code: "aborted" });
  });
});
