import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../support/cli-context.ts";
import { tarOf } from "../support/oci-image.ts";
import { TestDaemon } from "../support/test-daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = new TestDaemon({ SQUASH_COMP: "lz4" });
  await daemon.start();
});
afterAll(async () => daemon[Symbol.asyncDispose]());

const cli = (...args: readonly string[]) => runCli([...args, "--socket", daemon.config.socket]);
const build = (name: string, content: string, parents: readonly string[] = [], replace = false) =>
  daemon.client.layers.build(name, tarOf([{ name: `made/${name}`, content }]), { parents, replace });
async function shown(
  layers: readonly string[],
): Promise<{ readonly text: string; readonly warnings: readonly string[] }> {
  await using sandbox = await daemon.client.create({ layers });
  return { text: (await sandbox.exec("cat /made/*")).stdout, warnings: sandbox.view.warnings };
}

describe("a layer that was made on others", () => {
  it("brings them along, by what they were when it was made", async () => {
    const base = await build("050-base", "base\n", ["busybox"]);
    const tool = await build("100-tool", "tool\n", ["base"]);
    expect(tool.provenance.inputs?.[0]).toEqual({ kind: "layer", name: "050-base", digest: `sha256:${base.digest}` });
    expect(await shown(["tool"])).toEqual({ text: "base\ntool\n", warnings: [] });
    expect(tool.warnings).toBeUndefined();

    const other = await build("050-base", "other\n", ["busybox"], true);
    const [was, is] = [base.digest.slice(0, 12), other.digest.slice(0, 12)];
    const changed = `100-tool was made on 050-base ${was}, which is ${is} now; build it again to have what changed`;
    expect(await shown(["tool"])).toEqual({ text: "base\ntool\n", warnings: [changed] });
    const instead = `100-tool was made on 050-base ${was}, and stands on ${is} here`;
    expect(await shown(["base", "tool"])).toEqual({ text: "other\ntool\n", warnings: [instead] });
    expect((await daemon.client.layers.get("tool")).warnings).toEqual([changed]);
    expect((await build("200-app", "app\n", ["tool"])).warnings).toEqual([changed]);
  });

  it("is told of on the command line", async () => {
    const inspected = await cli("layer", "inspect", "tool");
    expect(inspected).toMatchObject({
      exitCode: 0,
      stderr: expect.stringMatching(/^plybox: warning: 100-tool was made on/),
    });
    const created = await cli("create", "--layer", "tool", "warned");
    expect(created).toMatchObject({ stdout: "warned\n", stderr: expect.stringContaining("build it again") });
    expect((await cli("create", "--layer", "base", "fine")).stderr).toBe("");
  });

  it("keeps what it was made on, whose name may go", async () => {
    await build("060-gone", "gone\n", ["busybox"]);
    await build("110-left", "left\n", ["gone"]);
    await daemon.client.layers.remove("gone");
    await daemon.restart();
    expect(await shown(["left"])).toEqual({ text: "gone\nleft\n", warnings: [] });
  });

  it("is not made on what its number puts above it", async () => {
    await expect(build("010-low", "low", ["tool"])).rejects.toMatchObject({ code: "input/invalid", field: "parent" });
  });
});
