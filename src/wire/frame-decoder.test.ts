import fc from "fast-check";
import { expect, test } from "vitest";
import type { Frame } from "./frame.ts";
import { encodeFrame, MAX_LENGTH } from "./frame.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

const channel = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const stream = fc.integer({ min: 0, max: 2 });
const offset = fc.maxSafeNat().map((n) => Math.max(0, n - 1_000_000));
// What JSON cannot say (`-0`, lone surrogates) is no matter of frames: take values as JSON has them.
const json = fc
  .dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue())
  .map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>);
const bytes = fc.uint8Array({ maxLength: 3000 });

const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ kind: fc.constantFrom("hello", "open", "ack", "exit", "error"), channel, json }),
  fc.record({ kind: fc.constant("data"), channel, stream, offset, bytes }),
  fc.record({ kind: fc.constant("end"), channel, stream, offset }),
  fc.record({ kind: fc.constant("credit"), channel, bytes: channel }),
  fc.record({ kind: fc.constant("close"), channel }),
  fc
    .record({ kind: fc.constant("lost"), channel, stream, from: offset, length: fc.nat() })
    .map(({ length, ...rest }) => ({ ...rest, to: rest.from + (length % 1_000_000) })),
) as fc.Arbitrary<Frame>;

/** Cuts the bytes at the given fractions, each piece a chunk of its own memory as sockets give them. */
function cut(whole: Buffer, fractions: readonly number[]): Buffer[] {
  const at = fractions.map((fraction) => Math.floor(fraction * whole.length)).sort((a, b) => a - b);
  const ends = [...at, whole.length];
  return ends.map((end, i) => Buffer.from(whole.subarray(ends[i - 1] ?? 0, end)));
}

/** A frame of data whose bytes compare by content. */
const comparable = (one: Frame): unknown => (one.kind === "data" ? { ...one, bytes: [...one.bytes] } : { ...one });

test("frames survive any chunking", () => {
  const fraction = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fraction, { maxLength: 20 }), (frames, fractions) => {
      const decoded: Frame[] = [];
      const decoder = new FrameDecoder((one) => decoded.push(one));
      for (const chunk of cut(Buffer.concat(frames.map(encodeFrame)), fractions)) decoder.push(chunk);
      expect(decoded.map(comparable)).toEqual(frames.map(comparable));
      expect(decoder.midFrame).toBe(false);
    }),
  );
});

test("data that is handed on as it comes survives a cut anywhere in its head", () => {
  const sent: Frame = { kind: "data", channel: 1, stream: 1, offset: 7, bytes: Buffer.from("x".repeat(100)) };
  const whole = encodeFrame(sent);
  for (let first = 1; first < 30; first++) {
    for (let second = first; second < 40; second++) {
      const pieces: Frame[] = [];
      const decoder = new FrameDecoder((one) => pieces.push(one));
      decoder.splitsData = true;
      for (const chunk of [whole.subarray(0, first), whole.subarray(first, second), whole.subarray(second)]) {
        decoder.push(Buffer.from(chunk));
      }
      const bytes = pieces.map((one) => (one.kind === "data" ? one.bytes : Buffer.alloc(0)));
      expect(Buffer.concat(bytes)).toEqual(sent.bytes);
      expect(decoder.midFrame).toBe(false);
    }
  }
});

test("frames survive byte by byte", () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 3 }), (frames) => {
      const decoded: Frame[] = [];
      const decoder = new FrameDecoder((one) => decoded.push(one));
      for (const byte of Buffer.concat(frames.map(encodeFrame))) decoder.push(Buffer.of(byte));
      expect(decoded.map(comparable)).toEqual(frames.map(comparable));
    }),
    { numRuns: 30 },
  );
});

test("garbage gives frames or a ProtocolViolation, and holds no more than has come", () => {
  // Sound frames with bytes changed reach behind the checks of length and kind, where chance alone does not get.
  const spoilt = fc
    .tuple(frame, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 2 }))
    .map(([one, changes]) => {
      const encoded = encodeFrame(one);
      for (const [at, byte] of changes) encoded[at % encoded.length] = byte;
      return encoded;
    });
  const garbage = fc.array(fc.oneof(spoilt, fc.uint8Array({ maxLength: 40 })), { maxLength: 10 });
  const seen = new Set<string>();
  fc.assert(
    fc.property(garbage, (chunks) => {
      const decoder = new FrameDecoder((one) => seen.add(one.kind));
      let sent = 0;
      try {
        for (const chunk of chunks) {
          sent += chunk.length;
          decoder.push(Buffer.from(chunk));
          expect(decoder.heldBytes).toBeLessThanOrEqual(Math.max(9, 2 * sent));
        }
      } catch (error) {
        if (!(error instanceof ProtocolViolation)) throw error;
        seen.add(error.reason);
      }
    }),
    { numRuns: 3000 },
  );
  // The property has teeth only where all of this has happened.
  for (const outcome of ["length", "kind", "payload", "close", "data"]) expect(seen).toContain(outcome);
});

test("memory grows with what has come, not with the length that was claimed", () => {
  const decoder = new FrameDecoder(() => expect.unreachable());
  const head = Buffer.alloc(9);
  head.writeUInt32LE(MAX_LENGTH, 0);
  head.writeUInt8(4, 4);
  decoder.push(head);
  expect(decoder.heldBytes).toBeLessThan(100);
  for (let sent = head.length; sent < 500_000; sent += 1000) {
    decoder.push(Buffer.alloc(1000));
    expect(decoder.heldBytes).toBeLessThanOrEqual(2 * (sent + 1000));
  }
});

test("the largest frame passes in any pieces, and is all that is ever held", () => {
  const whole = encodeFrame({
    kind: "data",
    channel: 1,
    stream: 1,
    offset: 0,
    bytes: Buffer.alloc(MAX_LENGTH - 14, 7),
  });
  expect(whole.length).toBe(MAX_LENGTH + 4);
  const decoded: Frame[] = [];
  const decoder = new FrameDecoder((one) => decoded.push(one));
  for (let at = 0; at < whole.length; at += 65_536) {
    decoder.push(whole.subarray(at, at + 65_536));
    expect(decoder.heldBytes).toBeLessThanOrEqual(MAX_LENGTH + 4);
  }
  expect(decoded).toHaveLength(1);
  expect(encodeFrame(decoded[0] as Frame).equals(whole)).toBe(true);
  expect(decoder.heldBytes).toBe(0);
});

test("a frame that is too large is never encoded", () => {
  const bytes = Buffer.alloc(MAX_LENGTH - 13);
  expect(() => encodeFrame({ kind: "data", channel: 1, stream: 0, offset: 0, bytes })).toThrowError(
    expect.objectContaining({ code: "input/too-large" }),
  );
});

test("a length out of range is refused as soon as its four bytes are there", () => {
  for (const length of [0, 4, MAX_LENGTH + 1, 2 ** 32 - 1]) {
    const decoder = new FrameDecoder(() => expect.unreachable());
    const head = Buffer.alloc(4);
    head.writeUInt32LE(length);
    decoder.push(head.subarray(0, 3));
    expect(() => decoder.push(head.subarray(3))).toThrow(ProtocolViolation);
  }
});

test("an unknown kind is refused before its payload is there", () => {
  const decoder = new FrameDecoder(() => expect.unreachable());
  decoder.push(Buffer.of(255, 255, 0, 0));
  expect(() => decoder.push(Buffer.of(255))).toThrowError(expect.objectContaining({ reason: "kind" }));
});

test("data that goes beyond what a number holds is refused", () => {
  const bytes = Buffer.from("ab");
  const encoded = encodeFrame({ kind: "data", channel: 1, stream: 1, offset: Number.MAX_SAFE_INTEGER - 1, bytes });
  const decoder = new FrameDecoder(() => expect.unreachable());
  expect(() => decoder.push(encoded)).toThrowError(expect.objectContaining({ reason: "payload" }));
});

test("data that lies whole in a chunk is not copied", () => {
  const chunk = encodeFrame({ kind: "data", channel: 1, stream: 1, offset: 0, bytes: Buffer.from("hello") });
  const decoder = new FrameDecoder((one) => {
    if (one.kind === "data") expect(one.bytes.buffer).toBe(chunk.buffer);
  });
  expect.assertions(1);
  decoder.push(chunk);
});

test("data that is handed on as it comes says the same, however it is cut, and is copied nowhere together", () => {
  const fraction = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fraction, { maxLength: 40 }), (frames, fractions) => {
      const decoded: Frame[] = [];
      const decoder = new FrameDecoder((one) => decoded.push(one));
      decoder.splitsData = true;
      for (const chunk of cut(Buffer.concat(frames.map(encodeFrame)), fractions)) decoder.push(chunk);
      expect(joined(decoded, frames).map(comparable)).toEqual(frames.map(comparable));
      expect(decoder.midFrame).toBe(false);
    }),
  );
});

test("of a data frame that is handed on as it comes nothing is held", () => {
  const decoded: Frame[] = [];
  const decoder = new FrameDecoder((one) => decoded.push(one));
  decoder.splitsData = true;
  const whole = encodeFrame({ kind: "data", channel: 1, stream: 1, offset: 5, bytes: Buffer.alloc(100_000, 7) });
  decoder.push(whole.subarray(0, 1000));
  expect(decoded).toMatchObject([{ kind: "data", offset: 5 }]);
  expect({ midFrame: decoder.midFrame, held: decoder.heldBytes }).toEqual({ midFrame: true, held: 0 });
  decoder.push(whole.subarray(1000));
  expect(decoded).toMatchObject([{ offset: 5 }, { offset: 5 + 982 }]);
});

/** The pieces of each data frame of `whole` put together again. */
function joined(pieces: readonly Frame[], whole: readonly Frame[]): Frame[] {
  const rest = [...pieces];
  return whole.map((one) => {
    const first = rest.shift();
    if (first?.kind !== "data" || one.kind !== "data") return first as Frame;
    let all = first.bytes;
    while (all.length < one.bytes.length) {
      const next = rest.shift();
      if (next?.kind !== "data" || next.offset !== first.offset + all.length) return next as Frame;
      all = Buffer.concat([all, next.bytes]);
    }
    return { ...first, bytes: all };
  });
}
