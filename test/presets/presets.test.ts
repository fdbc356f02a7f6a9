import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BuildProgress } from "../../src/client/index.ts";
import { debianSources } from "../../src/layers/presets/debian-sources.ts";
import { TestDaemon } from "../support/test-daemon.ts";

/** A busy machine on a slow line takes its time. */
const BUILD_MS = 900_000;

/** Why none can be built here; empty where it can. */
const obstacle = await whyNot();
if (obstacle !== "") process.stderr.write(`presets are not built: ${obstacle}\n`);

async function whyNot(): Promise<string> {
  const { lines } = await debianSources();
  const [, mirror = "", suite = ""] = lines[0]?.split(" ") ?? [];
  const release = `${mirror}/dists/${suite}/InRelease`;
  try {
    const { status } = await fetch(release, { method: "HEAD" });
    return status === 200 ? "" : `${release} is answered with ${status}`;
  } catch (error) {
    return `${release} is not reached (${error instanceof Error ? error.message : error})`;
  }
}

describe.skipIf(obstacle !== "")("presets", () => {
  let daemon: TestDaemon;
  const seen = new Set<string>();
  beforeAll(async () => {
    daemon = new TestDaemon({ SQUASH_COMP_LEVEL: "1" });
    await daemon.start();
    const onProgress = ({ step, detail }: BuildProgress) => seen.add(detail === undefined ? step : `${step} ${detail}`);
    await daemon.client.layers.preset("python", { onProgress });
  }, BUILD_MS);
  afterAll(async () => daemon[Symbol.asyncDispose]());

  it("are made of Debian's packages, and say how", async () => {
    const debian = await daemon.client.layers.get("debian");
    const python = await daemon.client.layers.get("python");
    const [, mirror = "", suite] = (await debianSources()).lines[0]?.split(" ") ?? [];
    expect(debian).toMatchObject({ name: "000-debian", parents: [], provenance: { kind: "debian" } });
    expect(python).toMatchObject({ name: "100-python", parents: [debian.digest] });
    expect(python.provenance.hosts).toContain(new URL(mirror).host);
    expect(python.provenance.commands?.[0]).toEqual(expect.arrayContaining(["mmdebstrap", "--include=python3", suite]));
    expect([...seen].filter((step) => step.startsWith("install "))).toContain("install downloading packages with apt");
    expect(seen).toContain("pack");
  });

  it("hold what they add, and bring along what they stand on", async () => {
    const [debian, python] = [await daemon.client.layers.get("debian"), await daemon.client.layers.get("python")];
    expect(python.bytes).toBeLessThan(debian.bytes / 2);
    await using sandbox = await daemon.client.create({ layers: ["python"] });
    expect(sandbox.view.layers).toEqual(["000-debian", "100-python"]);
    expect((await sandbox.exec(["python3", "-c", "import ssl; print(6 * 7)"])).stdout).toBe("42\n");
    expect(await sandbox.exec("python3 -m venv /tmp/v && /tmp/v/bin/pip --version")).toMatchObject({ exitCode: 0 });
    // Every package of both is there whole.
    expect(await sandbox.exec("dpkg --audit && dpkg --verify")).toMatchObject({ exitCode: 0, stdout: "" });
    await using bare = await daemon.client.create({ layers: ["debian"] });
    expect((await bare.exec("command -v python3; dpkg --audit; cat /etc/debian_version")).stdout).toMatch(
      /^[0-9.]+\n$/,
    );
  });

  it("say nothing of the machine that they were made on", async () => {
    const { digest } = await daemon.client.layers.get("debian");
    const image = join(daemon.config.stateDir, "layers", digest, "image.squashfs");
    const listed = execFileSync("unsquashfs", ["-l", image], { encoding: "utf8", maxBuffer: 2 ** 26 });
    expect(listed).toMatch(/\/etc\/passwd$/m);
    expect(listed).not.toMatch(/\/etc\/(?:hostname|resolv\.conf)$/m);
  });
});
