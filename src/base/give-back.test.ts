import { expect, it } from "vitest";
import { giveBack } from "./give-back.ts";

const MIB = 1024 ** 2;

it("frees memory at once", () => {
  const buffers = Array.from({ length: 64 }, () => Buffer.alloc(MIB, 1));
  const full = process.memoryUsage().arrayBuffers;
  for (const buffer of buffers) giveBack(buffer);
  expect(full - process.memoryUsage().arrayBuffers).toBeGreaterThan(60 * MIB);
  expect(buffers.map(({ length }) => length)).toEqual(buffers.map(() => 0));
});

it("leaves a part of something larger alone", () => {
  const whole = Buffer.alloc(MIB, 1);
  giveBack(whole.subarray(1));
  expect(whole).toHaveLength(MIB);
});

it("leaves what is small alone", () => {
  const small = Buffer.from("small");
  giveBack(small);
  expect(small.toString()).toBe("small");
});

it("takes what has been given back already", () => {
  const bytes = new Uint8Array(MIB);
  giveBack(bytes);
  giveBack(bytes);
  expect(bytes).toHaveLength(0);
});
