import fc from "fast-check";
import { afterEach, expect, it, vi } from "vitest";
import { decodeBase64, encodeBase64 } from "./base64.ts";

afterEach(() => {
  vi.unstubAllGlobals();
});

const roundTrips = () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
      const text = encodeBase64(bytes);
      expect(text).toBe(Buffer.from(bytes).toString("base64"));
      expect([...decodeBase64(text)]).toEqual([...bytes]);
    }),
  );

it("gives back what it was given", roundTrips);

it("needs nothing but what every browser has", () => {
  const { Buffer: buffer } = globalThis;
  vi.stubGlobal("Buffer", undefined);
  const bytes = decodeBase64("/wBhYmM=");
  vi.stubGlobal("Buffer", buffer);
  expect([...bytes]).toEqual([255, 0, 97, 98, 99]);
  expect(Buffer.isBuffer(bytes)).toBe(false);
});
