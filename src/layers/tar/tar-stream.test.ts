import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatPax } from "./pax.ts";
import { BLOCK, formatHeader } from "./tar-header.ts";
import { streamTar } from "./tar-stream.ts";

const HEADER = { type: "0", mode: 0o644, uid: 0, gid: 0, mtime: 0, link: "", major: 0, minor: 0 };
const padded = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
const file = (name: string, content: Buffer): Buffer =>
  Buffer.concat([formatHeader({ ...HEADER, name, size: content.length }), padded(content)]);
const END = Buffer.alloc(2 * BLOCK);

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Names with contents; of every other entry only a part of the content is read. */
async function read(chunks: AsyncIterable<Buffer>, readsAll = true): Promise<[name: string, content: string][]> {
  const found: [string, string][] = [];
  for await (const { name, content } of streamTar(chunks)) {
    const parts: Buffer[] = [];
    for await (const part of content()) {
      parts.push(part);
      if (!readsAll) break;
    }
    found.push([name, readsAll ? Buffer.concat(parts).toString("latin1") : ""]);
  }
  return found;
}

describe("a streamed archive", () => {
  it("has the same entries however it is cut into pieces, and whether or not its contents are read", async () => {
    const content = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes));
    await fc.assert(
      fc.asyncProperty(fc.array(content, { maxLength: 5 }), fc.integer({ min: 1, max: 3000 }), async (files, size) => {
        const archive = Buffer.concat([...files.map((bytes, i) => file(`file-${i}`, bytes)), END]);
        const expected = files.map((bytes, i) => [`file-${i}`, bytes.toString("latin1")]);
        expect(await read(pieces(archive, size))).toEqual(expected);
        expect(await read(pieces(archive, size), false)).toEqual(expected.map(([name]) => [name, ""]));
      }),
      { numRuns: 100 },
    );
  });

  it("takes sizes and names from the records before an entry", async () => {
    const record = formatPax(new Map(Object.entries({ path: Buffer.from("long"), size: Buffer.from("3") })));
    const before = formatHeader({ ...HEADER, name: "record", type: "x", size: record.length });
    const entry = formatHeader({ ...HEADER, name: "short", size: 0 });
    const archive = Buffer.concat([before, padded(record), entry, padded(Buffer.from("abc")), file("next", END), END]);
    expect(await read(pieces(archive, 100))).toEqual([
      ["long", "abc"],
      ["next", END.toString("latin1")],
    ]);
  });

  it("is refused wherever it is cut off", async () => {
    const archive = Buffer.concat([file("a", Buffer.alloc(700)), file("b", Buffer.from("b"))]);
    for (const length of [0, 100, 512, 600, 1024, 1535, 1536, 2048, archive.length]) {
      await expect(read(pieces(archive.subarray(0, length), 64))).rejects.toMatchObject({ code: "file/bad-archive" });
    }
  });

  it("is refused for a record that no honest one has, before it is kept", async () => {
    const before = formatHeader({ ...HEADER, name: "record", type: "x", size: 1_000_000_000 });
    await expect(read(pieces(before, BLOCK))).rejects.toThrow("a header has 1000000000 bytes");
  });
});
