import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PieceQueue } from "./piece-queue.ts";

function drain(queue: PieceQueue): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let piece = queue.take(); piece !== undefined; piece = queue.take()) pieces.push(piece);
  return pieces;
}

describe("pieces that wait", () => {
  it("come out in their order, whatever their sizes and whenever they are taken", () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 4000, max: 5000 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(size, fc.boolean()), { maxLength: 60 }), (pushes) => {
        const queue = new PieceQueue();
        const came: Buffer[] = [];
        const taken: Uint8Array[] = [];
        for (const [length, takes] of pushes) {
          const bytes = Buffer.from(Array.from({ length }, (_, i) => came.length + i));
          came.push(bytes);
          queue.push(bytes);
          if (takes) taken.push(queue.take() ?? Buffer.alloc(0));
        }
        expect(queue.bytes).toBe(Buffer.concat(came).length - Buffer.concat(taken).length);
        expect(Buffer.concat([...taken, ...drain(queue)])).toEqual(Buffer.concat(came));
        expect(queue.bytes).toBe(0);
      }),
    );
  });

  it("byte by byte are a few, which hold nothing but themselves", () => {
    const chunk = Buffer.alloc(1024 ** 2, "x");
    const queue = new PieceQueue();
    for (let at = 0; at < chunk.length; at++) queue.push(chunk.subarray(at, at + 1));
    const pieces = drain(queue);
    expect(pieces).toHaveLength(1);
    expect(pieces[0]?.buffer).not.toBe(chunk.buffer);
  });

  it("that are large are not copied, and whose memory they are in is told", () => {
    const kept: Uint8Array[] = [];
    const queue = new PieceQueue((bytes) => kept.push(bytes));
    const large = Buffer.alloc(4096);
    queue.push(Buffer.from("small"));
    queue.push(large);
    expect(kept).toEqual([large]);
    expect(drain(queue)[1]).toBe(large);
  });
});
