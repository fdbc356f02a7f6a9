import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TemporaryPlies } from "../../../test/support/plies.ts";
import { completeCompression } from "../../layers/compression.ts";
import { readSuperblock } from "../../layers/superblock.ts";
import type { ImageFormat } from "../../model/layer.ts";
import { NativeLauncher } from "../../native/launcher.ts";
import { packPly } from "./pack-ply.ts";
import { hashTree } from "./tree-hash.ts";

/** What overlayfs puts into an upper for this: origins of what is copied up, impure directories, all kinds of hiding. */
const CHANGES = `echo more >>a/old; rm b/old; rm -r c; mkdir c; echo n >c/new; chmod 700 d; mv e e2; ln a/old twin
mkfifo p; truncate -s 5M sparse; ln -s /etc link; mkdir deep; chown 7:8 a/old
python3 -SIc 'import os, socket; socket.socket(socket.AF_UNIX).bind("s"); os.setxattr("a/old", "user.k", b"v" * 300)
os.setxattr("d", "user.k", b"v" * 300); os.setxattr("deep", "user.empty", b""); open(b"\\xff\\n", "w")
for i in range(600): open("deep/%d" % i, "w"); os.setxattr("deep/%d" % i, "user.n", b"%d" % i * 20)'
touch -d @5 a/old deep d c . a b`;

let launcher: NativeLauncher;
let plies: TemporaryPlies;
let base: string;

beforeAll(() => {
  launcher = new NativeLauncher({ private: false });
});
afterAll(() => launcher.close());
beforeEach(() => {
  plies = new TemporaryPlies();
  base = plies.make("base", 'put("a/old", "old"); put("b/old"); put("c/old"); put("d/old"); put("e", "e")');
});
afterEach(() => plies[Symbol.dispose]());

/** The upper that a real overlay leaves behind. */
function makeUpper(): string {
  const [upper, work, merged] = ["upper", "work", "merged"].map((name) => plies.path(name));
  for (const path of [upper, work, merged]) mkdirSync(path ?? "");
  const options = `lowerdir=${base},upperdir=${upper},workdir=${work}`;
  const script = `mount -t overlay plybox-test -o ${options} ${merged}; cd ${merged}\n${CHANGES}`;
  execFileSync("unshare", ["--mount", "sh", "-ec", script]);
  return upper ?? "";
}

const pack = (source: string, image: string, format: ImageFormat, algorithm?: string) =>
  packPly({
    ...{ source, image: plies.path(image) },
    packing: {
      format,
      compression: completeCompression(format, "snapshot", algorithm === undefined ? {} : { algorithm }),
    },
  });

async function mounted<T>(image: string, format: ImageFormat, use: (target: string) => Promise<T>): Promise<T> {
  const target = plies.path("mount");
  mkdirSync(target, { recursive: true });
  await launcher.mountImage({ image: plies.path(image), format, target });
  try {
    return await use(target);
  } finally {
    await launcher.unmount(target);
  }
}

/** All names of attributes in a tree, as who may see everything sees them. */
const attributeNames = (root: string): string[] =>
  execFileSync(
    "/usr/bin/python3",
    [
      "-SIc",
      `import os
names = set()
for path, folders, files in os.walk(b"."):
  for name in [b"."] + folders + files: names.update(os.listxattr(os.path.join(path, name), follow_symlinks=False))
print("\\n".join(sorted(names)))`,
    ],
    { cwd: root, encoding: "utf8" },
  )
    .trim()
    .split("\n");

describe("a packed ply", () => {
  it.each([
    ["squashfs", undefined],
    ["squashfs", "gzip"],
    ["erofs", undefined],
  ] as const)(
    "as %s (%s) is the same ply when it is mounted, and has nothing of overlayfs but what hides",
    async (format, algorithm) => {
      const upper = makeUpper();
      expect(attributeNames(upper)).toContain("trusted.overlay.origin");
      const hash = await hashTree([base, upper]);
      const packed = await pack(upper, "image", format, algorithm);
      expect(packed.entries).toBeGreaterThan(600);
      expect(typeof (await readSuperblock(plies.path("image"), format))).toBe("object");
      await mounted("image", format, async (target) => {
        const notes = format === "squashfs" ? ["trusted.overlay.impure"] : [];
        const names = [...notes, "trusted.overlay.opaque", "user.empty", "user.k", "user.n"];
        expect(attributeNames(target)).toEqual(names);
        expect(await hashTree([base, target])).toEqual(hash);
        expect(await hashTree([plies.show("shown", [base, target])])).toEqual(hash);
        if (format === "squashfs") {
          execFileSync("unsquashfs", ["-q", "-n", "-d", plies.path("unpacked"), plies.path("image")]);
          expect(await hashTree([base, plies.path("unpacked")])).toEqual(hash);
        }
      });
      expect(readdirSync(plies.root).filter((name) => name.startsWith("image"))).toEqual(["image"]);
    },
  );

  it("is the same image each time", async () => {
    const upper = makeUpper();
    await pack(upper, "one", "squashfs");
    await pack(upper, "two", "squashfs");
    expect(readFileSync(plies.path("one")).equals(readFileSync(plies.path("two")))).toBe(true);
  });

  it("may have nothing but attributes of overlayfs, or none at all", async () => {
    const marked = plies.make("marked", 'put("x"); os.setxattr("x", "trusted.overlay.origin", b"o")');
    await pack(marked, "image", "squashfs");
    await mounted("image", "squashfs", async (target) => {
      expect(attributeNames(target)).toEqual(["trusted.overlay.impure"]);
      expect(await hashTree([target])).toEqual(await hashTree([marked]));
    });
    const plain = plies.make("plain", 'put("x")');
    await pack(plain, "plain.image", "squashfs");
    await mounted("plain.image", "squashfs", async (target) => {
      expect(await hashTree([target])).toEqual(await hashTree([plain]));
    });
  });

  it("keeps no ACLs, which no image has, and is packed all the same", async () => {
    const acl = "02000000 01000600ffffffff 0200040005000000 04000400ffffffff 10000400ffffffff 20000400ffffffff";
    const ply = plies.make("acl", `put("x"); os.setxattr("x", "system.posix_acl_access", bytes.fromhex("${acl}"))`);
    await pack(ply, "image", "squashfs");
    await mounted("image", "squashfs", async (target) => {
      expect(await hashTree([target])).toEqual(await hashTree([ply]));
    });
  });

  it("is refused where an owner is nobody's, or it is too much; and nothing stays", async () => {
    const foreign = plies.make("foreign", 'put("d/x"); os.chown("d/x", 0, 65536)');
    await expect(pack(foreign, "image", "squashfs")).rejects.toMatchObject({
      code: "input/invalid",
      message: expect.stringContaining('"d/x"'),
    });
    const sparse = plies.make("sparse", 'put("x"); os.truncate("x", 1 << 40)');
    const limited = packPly({
      ...{ source: sparse, image: plies.path("image") },
      packing: { format: "squashfs", compression: completeCompression("squashfs", "snapshot") },
      most: { entries: 10, bytes: 1 << 30 },
    });
    await expect(limited).rejects.toMatchObject({ code: "layer/too-large" });
    const aborted = packPly({
      ...{ source: sparse, image: plies.path("image"), signal: AbortSignal.abort() },
      packing: { format: "squashfs", compression: completeCompression("squashfs", "snapshot") },
    });
    await expect(aborted).rejects.toMatchObject({ code: "aborted" });
    expect(existsSync(plies.path("image"))).toBe(false);
  });
});
