import { describe, expect, it } from "vitest";
import type { SeccompProfile, SeccompRule } from "../model/seccomp.ts";
import type { SeccompTarget } from "./rules.ts";
import { lets, letting, onlyOf, resolveProfile, toText } from "./rules.ts";

const TARGET: SeccompTarget = { arch: "x64", kernel: "6.1.0-42-amd64", capabilities: new Set(["CAP_CHOWN"]) };
const REFUSING = { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 38 } as const;

const text = (...syscalls: SeccompRule[]): string[] =>
  toText(resolveProfile({ ...REFUSING, syscalls }, TARGET))
    .trim()
    .split("\n")
    .slice(1);
const allow = (names: readonly string[], more: Partial<SeccompRule> = {}): SeccompRule => ({
  names,
  action: "SCMP_ACT_ALLOW",
  ...more,
});
const ARGUMENT = { index: 1, value: 7, op: "SCMP_CMP_EQ" } as const;

describe("a profile", () => {
  it("becomes a line a call, with the number of a call that the compiler may not know", () => {
    const profile: SeccompProfile = {
      ...REFUSING,
      syscalls: [
        allow(["read", "cachestat"]),
        { names: ["mount"], action: "SCMP_ACT_ERRNO" },
        { names: ["ptrace"], action: "SCMP_ACT_KILL_PROCESS", args: [ARGUMENT] },
        allow(["clone"], { args: [{ index: 0, value: 8, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }] }),
      ],
    };
    expect(toText(resolveProfile(profile, TARGET))).toBe(
      [
        ...["default errno:38", "rule allow read", "rule allow cachestat=451", "rule errno:1 mount"],
        ...["rule kill-process ptrace 1:eq:7", "rule allow clone 0:masked-eq:8:0", ""],
      ].join("\n"),
    );
  });

  it.each<[string, Partial<SeccompRule>, boolean]>([
    ["includes a capability that is there", { includes: { caps: ["CAP_CHOWN"] } }, true],
    ["includes a capability that is missing", { includes: { caps: ["CAP_CHOWN", "CAP_BPF"] } }, false],
    ["excludes a capability that is there", { excludes: { caps: ["CAP_CHOWN"] } }, false],
    ["excludes a capability that is missing", { excludes: { caps: ["CAP_BPF"] } }, true],
    ["includes this architecture", { includes: { arches: ["arm64", "amd64"] } }, true],
    ["includes another architecture", { includes: { arches: ["arm64"] } }, false],
    ["excludes this architecture", { excludes: { arches: ["amd64"] } }, false],
    ["includes this kernel", { includes: { minKernel: "6.1" } }, true],
    ["includes an older kernel", { includes: { minKernel: "4.19" } }, true],
    ["includes a newer kernel", { includes: { minKernel: "6.10" } }, false],
  ])("has a rule that %s: %#", (_, condition, counts) => {
    expect(text(allow(["bpf"], condition))).toEqual(counts ? ["rule allow bpf"] : []);
  });

  it("takes the stricter of two rules that meet the same arguments", () => {
    const refuse: SeccompRule = { names: ["setns"], action: "SCMP_ACT_ERRNO" };
    const kill: SeccompRule = { names: ["setns"], action: "SCMP_ACT_KILL" };
    for (const rules of [
      [allow(["setns"]), refuse],
      [refuse, allow(["setns"])],
      [refuse, allow(["setns"], { args: [ARGUMENT] })],
      [allow(["setns"], { args: [ARGUMENT] }), refuse],
    ])
      expect(text(...rules)).toEqual(["rule errno:1 setns"]);
    expect(text(refuse, kill)).toEqual(["rule kill-thread setns"]);
    expect(text({ ...refuse, args: [ARGUMENT] }, allow(["setns"], { args: [ARGUMENT] }))).toEqual([
      "rule errno:1 setns 1:eq:7",
    ]);
  });

  it("is refused where a rule would have no effect beside a wider one", () => {
    const narrow: SeccompRule = { names: ["ioctl"], action: "SCMP_ACT_ERRNO", args: [ARGUMENT] };
    for (const rules of [
      [narrow, allow(["ioctl"])],
      [allow(["ioctl"]), narrow],
    ])
      expect(() => text(...rules)).toThrow(
        expect.objectContaining({
          code: "input/invalid",
          field: "seccomp.syscalls",
          message: "of ioctl two rules contradict each other: allow and errno:1 where 1:eq:7",
        }),
      );
  });
});

describe("what the agent needs beside a profile", () => {
  const rules = resolveProfile(
    { ...REFUSING, syscalls: [allow(["read"]), allow(["clone"], { args: [ARGUMENT] })] },
    TARGET,
  );

  it("is what no rule lets through with any arguments", () => {
    expect(["read", "clone", "write"].map((name) => lets(rules, name))).toEqual([true, true, false]);
    expect(lets(resolveProfile({ defaultAction: "SCMP_ACT_ALLOW" }, TARGET), "write")).toBe(true);
  });

  it("is not what a profile that allows the rest refuses with some arguments alone", () => {
    const refusing = { names: ["clone"], action: "SCMP_ACT_ERRNO", args: [ARGUMENT] } as const;
    const denying = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [refusing, { ...refusing, names: ["write"], args: [] }],
    };
    const resolved = resolveProfile(denying as SeccompProfile, TARGET);
    expect(["read", "clone", "write"].map((name) => lets(resolved, name))).toEqual([true, true, false]);
  });

  it("is let through for all, and refused again for commands as the profile says", () => {
    expect(toText(letting(rules, ["write"]))).toContain("rule allow write\n");
    expect(toText(onlyOf(rules, ["write", "futex_wake"]))).toBe(
      "default allow\nrule errno:38 write\nrule errno:38 futex_wake=454\n",
    );
  });
});
