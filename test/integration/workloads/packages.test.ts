import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LayerStore } from "../../../src/layers/layer-store.ts";
import { makeDebianTree } from "../../support/debian-tree.ts";
import { TestDaemon } from "../../support/test-daemon.ts";
import { Workbox } from "../../support/workbox.ts";

const LAYER = "000-debian";

let box: Workbox;

beforeAll(async () => {
  const daemon = new TestDaemon();
  const tree = join(daemon.directory, "debian");
  mkdirSync(tree);
  await makeDebianTree(tree, ["apt", "adduser"]);
  const store = new LayerStore({
    storeDirectory: join(daemon.config.stateDir, "layers"),
    mountDirectory: join(daemon.directory, "unused"),
    mounter: { mountImage: async () => {}, unmount: async () => {} },
    log: console,
  });
  await store.make.fromDirectory(LAYER, tree, { packing: { level: 1 } });
  rmSync(tree, { recursive: true });
  box = await Workbox.open({ layers: [LAYER] }, daemon);
});
afterAll(() => box[Symbol.asyncDispose]());

const control = (name: string, version: string, more = ""): string => `Package: ${name}
Version: ${version}
Architecture: all
Maintainer: tester <tester@example.org>
Description: a package of a test
${more}`;

/** A package with an account, a directory of that account's, a configuration file, an alternative and a setuid program. */
function greeter(version: string): Readonly<Record<string, string>> {
  return {
    "DEBIAN/control": control("greeter", version, "Depends: adduser\n"),
    "DEBIAN/conffiles": "/etc/greeter.conf\n",
    "DEBIAN/preinst": `#!/bin/sh\nset -e\necho "preinst $*"\n`,
    "DEBIAN/postinst": `#!/bin/sh
set -e
if [ "$1" = configure ]; then
  adduser --quiet --system --group --home /var/lib/greeter greeter
  chown -R greeter:greeter /var/lib/greeter
  chmod 2750 /var/lib/greeter
  update-alternatives --quiet --install /usr/bin/salute salute /usr/bin/greet 10
fi
echo "postinst $*"
`,
    "DEBIAN/prerm":
      '#!/bin/sh\nset -e\n[ "$1" = upgrade ] || update-alternatives --quiet --remove salute /usr/bin/greet\n',
    "DEBIAN/postrm":
      '#!/bin/sh\nset -e\n[ "$1" != purge ] || { deluser --quiet --system greeter; rm -rf /var/lib/greeter; }\n',
    "etc/greeter.conf": `name = world ${version}\n`,
    "usr/bin/greet": `#!/bin/sh\necho "greet ${version}: $(cat /etc/greeter.conf)"\n`,
    "usr/lib/greeter/helper": "#!/bin/sh\n",
    "var/lib/greeter/state": "",
  };
}

/** Writes a package's tree, and has dpkg-deb make NAME.deb of it inside. */
async function build(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    const mode = /DEBIAN\/p|bin\//.test(path) ? 0o755 : path.endsWith("/helper") ? 0o4755 : 0o644;
    await box.sandbox.files.write(`/root/${name}/${path}`, content, { parents: true, mode });
  }
  await box.run(`dpkg-deb --root-owner-group --build /root/${name} /root/${name}.deb`);
  return `/root/${name}.deb`;
}

describe("a Debian inside", () => {
  it("has a package database that dpkg finds in order", async () => {
    expect(await box.run("dpkg --audit && dpkg -s apt | grep ^Status")).toBe("Status: install ok installed\n");
  });

  it("installs a package with its scripts, its account and its configuration", async () => {
    const file = await build("greeter-1", greeter("1.0"));
    const output = await box.run(`dpkg -i ${file} && salute && dpkg -V greeter`);
    expect(output).toContain("preinst install");
    expect(output).toContain("postinst configure");
    expect(output).toContain("greet 1.0: name = world 1.0\n");
    expect(await box.run("stat -c '%U %G %a' /var/lib/greeter && stat -c '%U %a' /usr/lib/greeter/helper")).toBe(
      "greeter greeter 2750\nroot 4755\n",
    );
  });

  it("upgrades it, and keeps the configuration that was changed", async () => {
    const file = await build("greeter-2", greeter("2.0"));
    await box.run(`echo 'name = me' > /etc/greeter.conf && dpkg --force-confold -i ${file}`);
    expect(await box.run("greet && cat /etc/greeter.conf.dpkg-dist")).toBe("greet 2.0: name = me\nname = world 2.0\n");
  });

  it("lets apt-get install a file and what that needs, and take them away again", async () => {
    const base = await build("needed", { "DEBIAN/control": control("needed", "1"), "usr/share/needed/file": "" });
    const top = await build("needing", {
      "DEBIAN/control": control("needing", "1", "Depends: needed, greeter (>= 2.0)\n"),
      "usr/bin/needing": "#!/bin/sh\necho needing\n",
    });
    expect(await box.run(`apt-get install -qq -y ${base} ${top} > /dev/null && needing`)).toBe("needing\n");
    const left = "apt-get autoremove -qq -y --purge needing greeter needed > /dev/null; dpkg -l | grep -c need || true";
    expect(await box.run(left)).toBe("0\n");
    const remains = "find /etc /usr /var/lib -name 'greet*' -o -name salute; getent passwd greeter || true";
    expect(await box.run(remains)).toBe("");
    expect(await box.run("dpkg --audit")).toBe("");
  });

  it("diverts a file of another package, and gives it back", async () => {
    const script = `dpkg-divert --quiet --add --rename --divert /usr/bin/true.real /usr/bin/true && ! test -e /usr/bin/true
      dpkg-divert --quiet --remove --rename /usr/bin/true && /usr/bin/true && echo diverted`;
    expect(await box.run(script)).toBe("diverted\n");
  });
});
