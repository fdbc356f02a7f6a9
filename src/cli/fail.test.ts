import { CommanderError } from "commander";
import { describe, expect, it } from "vitest";
import { PlyboxApiError } from "../client/index.ts";
import { PlyboxError } from "../model/errors.ts";
import { failureOf } from "./fail.ts";

describe("failureOf", () => {
  it("says one line with the code, and exits as the table says", () => {
    expect(failureOf(new PlyboxError("exec/program-not-found", "no program called xyz"))).toEqual({
      line: "plybox: no program called xyz (exec/program-not-found)",
      exitCode: 127,
    });
  });

  it("names the field, unless the message does", () => {
    const field = "limits.pids";
    expect(failureOf(new PlyboxError("input/invalid", "must be at least 1", { field })).line).toBe(
      "plybox: limits.pids: must be at least 1 (input/invalid)",
    );
    expect(failureOf(new PlyboxError("input/invalid", "limits.pids must be at least 1", { field })).line).toBe(
      "plybox: limits.pids must be at least 1 (input/invalid)",
    );
  });

  it("reads the SDK's errors as the model's", () => {
    const error = new PlyboxApiError({ code: "exec/not-executable", message: "no" }, 422);
    expect(failureOf(error)).toEqual({ line: "plybox: no (exec/not-executable)", exitCode: 126 });
  });

  it("asks for the daemon where none answers", () => {
    expect(failureOf(new PlyboxError("daemon/unreachable", "no answer")).line).toBe(
      "plybox: no answer; is plybox serve running? (daemon/unreachable)",
    );
  });

  it("calls what it does not know internal, without a stack", () => {
    expect(failureOf(new TypeError("x is undefined"))).toEqual({
      line: "plybox: x is undefined; PLYBOX_DEBUG=1 shows where (internal)",
      exitCode: 125,
    });
    const coded = Object.assign(new Error("broken pipe"), { code: "EPIPE" });
    expect(failureOf(coded).line).toContain("(internal)");
    expect(failureOf("a string").line).toContain("a string");
  });

  it("says nothing of help that was shown", () => {
    expect(failureOf(new CommanderError(0, "commander.helpDisplayed", "(outputHelp)"))).toEqual({
      line: "",
      exitCode: 0,
    });
  });

  it("keeps to one line, and off the terminal's controls", () => {
    const { line } = failureOf(new PlyboxError("input/invalid", "first\nsecond\u001b[2J\tthird"));
    expect(line).toBe("plybox: first second [2J third (input/invalid)");
  });
});
