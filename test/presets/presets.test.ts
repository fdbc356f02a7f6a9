import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BuildProgress, LayerView } from "../../src/client/index.ts";
import { debianSources } from "../../src/layers/presets/debian-sources.ts";
import type { PresetName } from "../../src/model/presets.ts";
import { TestDaemon } from "../support/test-daemon.ts";

/** A busy machine on a slow line takes its time. */
const BUILD_MS = 900_000;

/** What is packed here is not looked at for its size. */
const SQUASH_COMP_LEVEL = "1";

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

/** Of each what is run in it, and what that says. */
const PROGRAMS: Readonly<Record<Exclude<PresetName, "busybox" | "debian">, readonly [line: string, said: RegExp]>> = {
  python: ["python3 -c 'import ssl; print(6 * 7)' && python3 -m venv /tmp/v && /tmp/v/bin/pip --version", /^42\npip /],
  node: ["node -e 'console.log(6 * 7)' && npm --version", /^42\n\d+\./],
  go: [
    [
      "mkdir /tmp/m && cd /tmp/m && printf 'package main\\nimport \"fmt\"\\nfunc main() { fmt.Println(6 * 7) }\\n' > main.go",
      "go mod init m && go build -o prog . && ./prog",
    ].join(" && "),
    /^42\n$/,
  ],
  rust: [
    `cd /tmp && echo 'fn main() { println!("{}", 6 * 7); }' > m.rs && rustc m.rs && ./m && cargo --version`,
    /^42\ncargo /,
  ],
  "build-tools": [
    [
      "cd /tmp && printf '#include <stdio.h>\\nint main(void) { return printf(\"42\\\\n\") != 3; }\\n' > m.c",
      "printf 'm: m.c\\n\\tgcc -Wall -o m m.c\\n' > Makefile && make -s && ./m && git --version",
    ].join(" && "),
    /^42\ngit version /,
  ],
};

describe.skipIf(obstacle !== "")("presets", () => {
  let daemon: TestDaemon;
  const seen = new Set<string>();
  beforeAll(async () => {
    daemon = new TestDaemon({ SQUASH_COMP_LEVEL });
    await daemon.start();
    await build("debian");
  }, BUILD_MS);
  afterAll(async () => daemon[Symbol.asyncDispose]());

  async function build(preset: PresetName): Promise<LayerView> {
    const begun = performance.now();
    const onProgress = ({ step, detail }: BuildProgress) => seen.add(detail === undefined ? step : `${step} ${detail}`);
    const layer = await daemon.client.layers.preset(preset, { onProgress });
    const seconds = Math.round((performance.now() - begun) / 1000);
    process.stderr.write(`${layer.name}: ${(layer.bytes / 1e6).toFixed(1)} MB in ${seconds} s\n`);
    return layer;
  }

  it("are made of Debian's packages, and say how", async () => {
    const debian = await daemon.client.layers.get("debian");
    const [, mirror = "", suite] = (await debianSources()).lines[0]?.split(" ") ?? [];
    expect(debian).toMatchObject({ name: "000-debian", parents: [], provenance: { kind: "debian" } });
    expect(debian.provenance.hosts).toContain(new URL(mirror).host);
    expect(debian.provenance.commands?.[0]).toEqual(
      expect.arrayContaining(["mmdebstrap", "--include=ca-certificates", suite]),
    );
    expect([...seen].filter((step) => step.startsWith("install "))).toContain("install downloading packages with apt");
    expect(seen).toContain("pack");
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

  it.each(Object.entries(PROGRAMS))(
    "%s holds what it adds, brings along what it stands on, and runs",
    async (preset, [line, said]) => {
      const layer = await build(preset as PresetName);
      const debian = await daemon.client.layers.get("debian");
      expect(layer.parents).toEqual([debian.digest]);
      const { sandbox, limits } = { sandbox: [layer.name], limits: { memoryBytes: 2 * 1024 ** 3 } };
      await using box = await daemon.client.create({ layers: sandbox, limits, env: { HOME: "/tmp" } });
      expect(box.view.layers).toEqual(["000-debian", layer.name]);
      const { stdout, stderr, exitCode } = await box.exec(line);
      expect([exitCode, stdout, exitCode === 0 ? "" : stderr]).toEqual([0, expect.stringMatching(said), ""]);
      // Every package of both is there whole.
      const packages = await box.exec("dpkg --audit && dpkg --verify && dpkg -s ca-certificates | grep ^Status");
      expect(packages).toMatchObject({ exitCode: 0, stdout: "Status: install ok installed\n" });
    },
    BUILD_MS,
  );

  it("side by side run what is in either", async () => {
    await using box = await daemon.client.create({ layers: ["go", "rust"], limits: { memoryBytes: 2 * 1024 ** 3 } });
    expect(await box.exec("go version && cargo --version")).toMatchObject({ exitCode: 0 });
  });
});
