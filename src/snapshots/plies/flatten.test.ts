import { readdirSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TemporaryPlies } from "../../../test/support/plies.ts";
import { flattenPlies } from "./flatten.ts";
import { hashTree } from "./tree-hash.ts";

let plies: TemporaryPlies;
beforeEach(() => {
  plies = new TemporaryPlies();
});
afterEach(() => plies[Symbol.dispose]());

/** A base and three plies in which each kind of hiding meets each other. */
const makeStack = (): readonly [base: string, ...plies: string[]] => [
  plies.make(
    "base",
    'put("a/old"); put("b/old"); put("c/old"); put("d/x/old"); put("e"); put("f/old"); put("g", "low")',
  ),
  plies.make(
    "one",
    `put("a/new"); opaque("b"); put("b/new"); whiteout("c"); whiteout("e"); put("f"); put("g", "twins"); os.link("g", "h")
put("sparse"); os.truncate("sparse", 1 << 26); socket.socket(socket.AF_UNIX).bind("s"); os.mkfifo("p", 0o640)
os.setxattr("g", "user.k", b"\\0"); os.chown("g", 5, 6)`,
  ),
  plies.make(
    "two",
    'whiteout("a"); put("b/newer"); put("c/new"); opaque("d/x"); whiteout("b/new"); os.mkdir("f"); os.link("b/newer", "i")',
  ),
  plies.make("three", 'put("a/newest"); whiteout("d/x"); os.mkdir("e", 0o700); put("f/new")'),
];

const flatten = async (stack: readonly string[], isLowest: boolean): Promise<string> => {
  const target = plies.make("flat");
  await flattenPlies({ plies: stack, target, isLowest });
  return target;
};

describe("a flattened ply", () => {
  it("shows on what is below just what its plies did", async () => {
    const [base, ...stack] = makeStack();
    const flat = await flatten(stack, false);
    const hash = await hashTree([base, flat]);
    expect(hash).toEqual(await hashTree([base, ...stack]));
    expect(hash).toEqual(await hashTree([plies.show("shown", [base, flat])]));
  });

  it("of some of a stack keeps what hides the rest", async () => {
    const [base, ...stack] = makeStack();
    const flat = await flatten(stack.slice(1), false);
    expect(await hashTree([base, stack[0] ?? "", flat])).toEqual(await hashTree([base, ...stack]));
  });

  it("with nothing below has nothing that hides", async () => {
    const stack = makeStack();
    const flat = await flatten(stack, true);
    expect(await hashTree([flat])).toEqual(await hashTree(stack));
    expect(readdirSync(`${flat}/d`)).toEqual([]);
  });

  it("has no whiteouts in a directory that hides all by itself", async () => {
    const [base, ...stack] = makeStack();
    const flat = await flatten(stack, false);
    // `one` made it opaque and `two` removed a file of `one`, of which `base` knows nothing.
    expect(readdirSync(`${flat}/b`)).toEqual(["newer"]);
    expect(await hashTree([base, flat])).toEqual(await hashTree([base, ...stack]));
  });

  it("is not made where something is", async () => {
    const [, ...stack] = makeStack();
    plies.make("flat", 'put("g")');
    await expect(flatten(stack, false)).rejects.toMatchObject({ code: "file/exists" });
  });
});
