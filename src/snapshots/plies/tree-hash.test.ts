import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TemporaryPlies } from "../../../test/support/plies.ts";
import { hashTree } from "./tree-hash.ts";

/** All that a tree may hold; a name that is no text and one of two lines among it. */
const TREE = `
os.mkdir("d", 0o750); os.mkdir("d/e")
put("d/file", "text", 0o4711); os.chown("d/file", 7, 8); os.chmod("d/file", 0o4711)
os.link("d/file", "twin")
os.symlink("/etc/passwd", "link"); os.mkfifo("pipe"); os.mknod("device", 0o020600, os.makedev(1, 3))
socket.socket(socket.AF_UNIX).bind("socket")
open(b"\\xff\\n", "w").write("odd")
os.setxattr("d/file", "user.odd", b"\\0=\\n"); os.setxattr("d", "trusted.own", b"")
with open("sparse", "wb") as f:
  f.truncate(3 << 20); f.seek(1 << 20); f.write(b"x" * 5000)
still()
`;

let plies: TemporaryPlies;
beforeEach(() => {
  plies = new TemporaryPlies();
});
afterEach(() => plies[Symbol.dispose]());

describe("the hash of a tree", () => {
  it("is the same for a copy, whatever of it is holes", async () => {
    const one = await hashTree([plies.make("one", TREE)]);
    expect(one).toMatchObject({ entries: 11, bytes: 4 + 3 + (3 << 20) });
    const filled = plies.make("two", `${TREE}\nopen("sparse", "r+b").write(bytes(1 << 20))`);
    expect(await hashTree([filled])).toEqual(one);
  });

  it.each([
    ["a mode", 'os.chmod("d", 0o751)'],
    ["the root's mode", 'os.chmod(".", 0o701)'],
    ["an owner", 'os.chown("link", 0, 1, follow_symlinks=False)'],
    ["bytes", 'put("d/file", "Text")'],
    ["zeros at the end", 'os.truncate("sparse", (3 << 20) + 1)'],
    ["an attribute", 'os.setxattr("d/file", "user.odd", b"\\0=")'],
    ["an attribute of what is no file", 'os.setxattr("pipe", "trusted.p", b"")'],
    [
      "a twin that is a copy",
      'os.unlink("twin"); shutil.copy2("d/file", "twin"); os.chown("twin", 7, 8); os.chmod("twin", 0o4711)',
    ],
    ["a pipe that is a socket", 'os.unlink("pipe"); os.mknod("pipe", 0o140644)'],
    ["a device's number", 'os.unlink("device"); os.mknod("device", 0o020600, os.makedev(1, 5))'],
    ["a target", 'os.unlink("link"); os.symlink("/etc/group", "link")'],
    ["a name that is no text", 'os.rename(b"\\xff\\n", b"\\xfe\\n")'],
    ["an empty directory", 'os.rmdir("d/e")'],
  ])("tells %s", async (_, change) => {
    const before = await hashTree([plies.make("one", TREE)]);
    expect(await hashTree([plies.make("two", `${TREE}\n${change}`)])).not.toEqual(before);
  });

  it("tells a time, to the second", async () => {
    const hashAt = async (time: string) =>
      await hashTree([
        plies.make("one", `put("x"); os.utime("x", ns=(0, ${time})); still = lambda: os.utime(".", AT)`),
      ]);
    const before = await hashAt("5_000_000_000");
    expect(await hashAt("5_900_000_000")).toEqual(before);
    expect(await hashAt("6_000_000_000")).not.toEqual(before);
  });

  it("does not see what overlayfs notes for itself", async () => {
    const path = plies.make("one", TREE);
    const before = await hashTree([path]);
    plies.make(
      "one",
      'os.setxattr("d/file", "trusted.overlay.origin", b"x"); os.setxattr("d", "trusted.overlay.impure", b"y")',
    );
    expect(await hashTree([path])).toEqual(before);
  });

  it("refuses more bytes than are allowed, without reading them", async () => {
    const path = plies.make("one", 'put("huge"); os.truncate("huge", 1 << 43)');
    await expect(hashTree([path], { mostBytes: 1 << 20 })).rejects.toMatchObject({ code: "layer/too-large" });
  });

  it("of a stack is that of what overlayfs shows of it", async () => {
    const stack = [
      plies.make("low", `${TREE}\nput("gone/x"); os.mkdir("swap")`),
      plies.make(
        "middle",
        'os.mkdir("d"); whiteout("d/file"); put("d/new"); whiteout("gone"); put("swap"); whiteout("sparse")',
      ),
      plies.make("high", 'opaque("d/e"); put("d/e/z", "z"); put("gone/y"); os.mkdir("swap")'),
    ];
    const shown = plies.show("shown", stack);
    const hash = await hashTree(stack);
    expect(hash).toEqual(await hashTree([shown]));
    expect(hash.entries).toBe(14);
  });
});
