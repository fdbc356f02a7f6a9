import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TemporaryPlies } from "../../../test/support/plies.ts";
import { diffPlies } from "./diff.ts";
import { TreeProgram } from "./tree-program.ts";

let plies: TemporaryPlies;
let pool: string;

/** A subvolume and its snapshot, in which one file was changed in place, one was written again and one is in another place. */
const CHANGES = `
def again(path):
  content = open(path, "rb").read()
  os.unlink(path)
  open(path, "wb").write(content)
again("b/same")
with open("b/changed", "r+b") as f: f.seek(300_000); f.write(b"x")
shutil.copy("a/moved", "b/moved"); os.system("cp --reflink=always a/kept b/copied")
`;

beforeAll(() => {
  plies = new TemporaryPlies();
  pool = plies.path("pool");
  mkdirSync(pool);
  execFileSync("truncate", ["-s", "200M", plies.path("image")]);
  execFileSync("mkfs.btrfs", ["-q", plies.path("image")]);
  execFileSync("mount", ["-o", "loop", plies.path("image"), pool]);
  execFileSync("btrfs", ["-q", "subvolume", "create", `${pool}/a`]);
  plies.make(
    "pool/a",
    'for name in ["kept", "same", "changed", "moved"]: open(name, "wb").write(os.urandom(1 << 20))\nput("small", "s"); put("holes"); os.truncate("holes", 1 << 30)',
  );
  execFileSync("btrfs", ["-q", "subvolume", "snapshot", `${pool}/a`, `${pool}/b`]);
  plies.make("pool", CHANGES);
});
afterAll(() => {
  execFileSync("umount", [pool]);
  plies[Symbol.dispose]();
});

describe("a snapshot of a subvolume", () => {
  it("shares the blocks of what was not written since, and of that alone", async () => {
    await using program = new TreeProgram();
    const [a, b] = [await program.open(`${pool}/a`), await program.open(`${pool}/b`)];
    const shares = (name: string, other = name) => a.sharesBlocks(name, b, other);
    expect(await Promise.all(["kept", "same", "changed", "moved", "holes"].map((name) => shares(name)))).toEqual([
      true,
      false,
      false,
      false,
      true,
    ]);
    expect(await shares("kept", "copied")).toBe(true);
    // It lies in no block: that it is the same is for its bytes to say.
    expect(await shares("small")).toBe(false);
  });

  it("differs in what has other bytes", async () => {
    const told: string[] = [];
    for await (const { kind, path } of diffPlies({ before: [`${pool}/a`], after: [`${pool}/b`] }))
      told.push(`${kind} ${path}`);
    expect(told).toEqual(["changed changed", "added copied"]);
  });
});
