import { describe, expect, it } from "vitest";
import { findProgram, requireProgram } from "./programs.ts";

describe("programs", () => {
  it("are found where Debian installs them", async () => {
    expect(await findProgram("mksquashfs")).toBe(await requireProgram("mksquashfs", "squashfs-tools"));
  });

  it("that are missing are named with their package", async () => {
    const missing = requireProgram("plybox-no-such-program", "squashfs-tools");
    await expect(missing).rejects.toMatchObject({
      code: "host/missing",
      message: expect.stringContaining("squashfs-tools"),
    });
  });
});
