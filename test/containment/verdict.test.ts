import { describe, expect, it } from "vitest";
import type { Ended } from "./target.ts";
import { judgeControl, judgeInside, resultOf } from "./verdict.ts";

const ended = (changes: Partial<Ended>): Ended => ({ code: 0, signal: null, stdout: "", stderr: "", ...changes });
const insideOf = (end: Partial<Ended>, probe = {}) => judgeInside(resultOf(ended(end)), probe).kind;
const controlOf = (end: Partial<Ended>, probe = {}) => judgeControl(resultOf(ended(end)), probe).kind;

describe("the run inside", () => {
  it.each([
    ["an attack that was forbidden is contained", { code: 10, stdout: "refused mount EPERM\n" }, "contained"],
    ["one that the seccomp filter killed is contained", { code: null, signal: "SIGSYS" }, "contained"],
    ["one that succeeded is open", { code: 0, stdout: "noise\nsucceeded\n" }, "open"],
    ["one that crashed is broken", { code: null, signal: "SIGSEGV" }, "broken"],
    ["one that ends well without a word is broken", { code: 0 }, "broken"],
    ["one that ends badly without a word is broken", { code: 10 }, "broken"],
    ["one whose program is not there is broken", { code: 127, stderr: "not found" }, "broken"],
    ["one that says one thing and ends as another is broken", { code: 0, stdout: "refused mount EPERM\n" }, "broken"],
    ["one that was refused for its own fault is broken", { code: 10, stdout: "refused mount EINVAL\n" }, "broken"],
  ])("%s", (_, end, kind) => expect(insideOf(end)).toBe(kind));

  it("is contained for a reason of its own where the probe says that it proves it", () => {
    const end = { code: 10, stdout: "refused open ENOENT\n" };
    expect(insideOf(end)).toBe("broken");
    expect(insideOf(end, { proof: ["ENOENT"] })).toBe("contained");
  });
});

describe("the control", () => {
  it("works where the attack succeeds", () => expect(controlOf({ stdout: "succeeded\n" })).toBe("works"));

  it("is impossible where the kernel lacks the call, or this machine what the probe names", () => {
    expect(controlOf({ code: 10, stdout: "refused kexec_load ENOSYS\n" })).toBe("impossible");
    const end = { code: 10, stdout: "refused open ENOENT\n" };
    expect(controlOf(end)).toBe("broken");
    expect(controlOf(end, { lacks: { ENOENT: "no such file" } })).toBe("impossible");
  });

  it("is broken where the attack is refused, or breaks, outside too", () => {
    expect(controlOf({ code: 10, stdout: "refused mount EPERM\n" })).toBe("broken");
    expect(controlOf({ code: null, signal: "SIGSYS" })).toBe("broken");
    expect(controlOf({ code: 1, stderr: "Traceback" })).toBe("broken");
  });
});
