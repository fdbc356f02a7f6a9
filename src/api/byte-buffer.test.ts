import fc from "fast-check";
import { expect, it } from "vitest";
import { ByteBuffer } from "./byte-buffer.ts";

it("holds what was appended, in order", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 20 }), (pieces) => {
      const buffer = new ByteBuffer();
      for (const piece of pieces) buffer.append(piece);
      expect(buffer.view()).toEqual(Buffer.concat(pieces));
    }),
  );
});

it("never writes to the pieces that it was given", () => {
  const backing = Buffer.from("abcdef");
  const buffer = new ByteBuffer();
  buffer.append(backing.subarray(0, 2));
  buffer.append(Buffer.from("XY"));
  expect(buffer.view().toString()).toBe("abXY");
  expect(backing.toString()).toBe("abcdef");
});
