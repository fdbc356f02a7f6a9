import { describe, expect, it } from "vitest";
import type { UpperSpec } from "../../model/sandbox.ts";
import { requireUpper } from "./require-upper.ts";

const MIB = 1024 ** 2;

describe("an upper", () => {
  it.each<[string, UpperSpec | undefined]>([
    ["that nobody asked for", undefined],
    ["in memory", { kind: "tmpfs", bytes: 65_536, inodes: 100 }],
    ["on disk without a size", { kind: "disk" }],
  ])("%s can be had, also where no image can be mounted", (_, upper) => {
    expect(() => requireUpper(upper, true)).not.toThrow();
    expect(() => requireUpper(upper, false)).not.toThrow();
  });

  it.each<[string, UpperSpec]>([
    ["the least size", { kind: "disk", bytes: 16 * MIB }],
    ["the largest", { kind: "disk", bytes: 1024 ** 4 }],
    ["as many inodes as there can be", { kind: "disk", bytes: 16 * MIB, inodes: 4096 }],
  ])("on disk with %s needs that images can be mounted", (_, upper) => {
    expect(() => requireUpper(upper, true)).not.toThrow();
    expect(() => requireUpper(upper, false)).toThrow(
      expect.objectContaining({ code: "host/missing", field: "upper.bytes" }),
    );
  });

  it.each<[string, UpperSpec, string]>([
    ["too small", { kind: "disk", bytes: 16 * MIB - 1 }, "upper.bytes"],
    ["too large", { kind: "disk", bytes: 1024 ** 4 + 1 }, "upper.bytes"],
    ["with too few inodes", { kind: "disk", bytes: 16 * MIB, inodes: 63 }, "upper.inodes"],
    ["with more inodes than blocks", { kind: "disk", bytes: 16 * MIB, inodes: 4097 }, "upper.inodes"],
    ["with inodes and no size", { kind: "disk", inodes: 100 }, "upper.inodes"],
    ["with snapshots and inodes", { kind: "disk", inodes: 100, snapshots: true }, "upper.inodes"],
    ["with snapshots and too small", { kind: "disk", bytes: 16 * MIB - 1, snapshots: true }, "upper.bytes"],
  ])("on disk that is %s is refused by the field, whatever the machine can do", (_, upper, field) => {
    for (const mountsImages of [true, false]) {
      expect(() => requireUpper(upper, mountsImages)).toThrow(
        expect.objectContaining({ code: "input/invalid", field }),
      );
    }
  });
});
