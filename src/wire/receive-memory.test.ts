import { describe, expect, it } from "vitest";
import type { Receiver } from "./receive-memory.ts";
import { ReceiveMemory } from "./receive-memory.ts";

const KIB = 1024;

/** Bytes as a connection receives them. */
function receive(receiver: Receiver, text: string): Uint8Array {
  const room = receiver.room();
  room.write(text);
  receiver.received(text.length);
  return room.subarray(0, text.length);
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe("memory that is received into", () => {
  it("is overwritten by what comes next where nobody holds it", () => {
    const receiver = new ReceiveMemory().receiver();
    const first = receive(receiver, "one");
    receive(receiver, "two");
    expect(textOf(first)).toBe("two");
  });

  it("stays as it is while it is held, however much comes", () => {
    const memory = new ReceiveMemory();
    const receiver = memory.receiver();
    const held = Array.from({ length: 1000 }, (_, index) => {
      const bytes = receive(receiver, String(index).padEnd(10 * KIB));
      memory.hold(bytes);
      return bytes;
    });
    expect(held.map((bytes) => textOf(bytes).trim())).toEqual(held.map((_, index) => String(index)));
  });

  it("is used again when all of it has been released, and not before", () => {
    const memory = new ReceiveMemory();
    const receiver = memory.receiver();
    const full = "x".repeat(200 * KIB);
    const bytes = receive(receiver, full);
    const halves = [bytes.subarray(0, 10), bytes.subarray(10)] as const;
    for (const half of halves) memory.hold(half);
    receiver.close();
    memory.release(halves[0]);
    expect(memory.receiver().room().buffer).not.toBe(bytes.buffer);
    memory.release(halves[1]);
    expect(memory.receiver().room().buffer).toBe(bytes.buffer);
  });

  it("takes small pieces into one buffer, so that holding each costs no more than its bytes", () => {
    const memory = new ReceiveMemory();
    const receiver = memory.receiver();
    const buffers = new Set<unknown>();
    for (let count = 0; count < 10_000; count++) {
      const bytes = receive(receiver, "x".repeat(16));
      memory.hold(bytes);
      buffers.add(bytes.buffer);
    }
    expect(buffers.size).toBe(1);
  });

  it("always has room for a whole read", () => {
    const memory = new ReceiveMemory();
    const receiver = memory.receiver();
    for (let count = 0; count < 100; count++) {
      expect(receiver.room().length).toBeGreaterThanOrEqual(64 * KIB);
      memory.hold(receive(receiver, "x".repeat(50 * KIB)));
    }
  });

  it("knows nothing of other bytes", () => {
    const memory = new ReceiveMemory();
    const other = Buffer.from("mine");
    memory.hold(other);
    memory.release(other);
    expect(memory.receiver().room().buffer).not.toBe(other.buffer);
  });
});
