import { describe, expect, it } from "vitest";
import { parseMountPoints, readMountPoints } from "./mount-table.ts";

describe("mount table", () => {
  it("decodes paths and keeps what is mounted twice", () => {
    const table = [
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
      "30 22 7:0 / /run/with\\040space\\134 ro - squashfs /dev/loop0 ro",
      "31 22 7:0 / /run/with\\040space\\134 ro - squashfs /dev/loop0 ro",
      "",
    ].join("\n");
    expect(parseMountPoints(table)).toEqual(["/", "/run/with space\\", "/run/with space\\"]);
  });

  it("knows this machine's", async () => {
    expect(await readMountPoints()).toContain("/proc");
  });
});
