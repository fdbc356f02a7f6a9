import fc from "fast-check";
import { expect, test } from "vitest";
import type { ExecEvent, OutputStream } from "../model/exec.ts";
import { OutputQueue } from "./output-queue.ts";

type Output = Extract<ExecEvent, { kind: "output" }>;

const output = (stream: OutputStream, offset: number, text: string): Output => ({
  kind: "output",
  stream,
  offset,
  bytes: Buffer.from(text),
});

function drain(queue: OutputQueue): ExecEvent[] {
  const events: ExecEvent[] = [];
  for (let event = queue.take(); event !== undefined; event = queue.take()) events.push(event);
  return events;
}

const texts = (events: readonly ExecEvent[]) =>
  events.map((event) => (event.kind === "output" ? `${event.stream} ${event.offset} ${event.bytes}` : event.kind));

test("keeps the order of the streams, and joins small pieces of one", () => {
  const queue = new OutputQueue();
  queue.push(output("stdout", 0, "one "));
  queue.push(output("stdout", 4, "two"));
  queue.push(output("stderr", 0, "oh"));
  queue.push(output("stdout", 7, "three"));
  queue.push({ kind: "end", stream: "stderr", offset: 2 });
  expect(texts(drain(queue))).toEqual(["stdout 0 one two", "stderr 0 oh", "stdout 7 three", "end"]);
});

test("does not join what the reader has taken, nor write to a chunk that is not its own", () => {
  const queue = new OutputQueue();
  const chunk = Buffer.alloc(8192, "a");
  queue.push({ kind: "output", stream: "stdout", offset: 0, bytes: chunk.subarray(0, 4096) });
  queue.push(output("stdout", 4096, "b"));
  expect(chunk.equals(Buffer.alloc(8192, "a"))).toBe(true);
  expect((queue.take() as Output).bytes).toHaveLength(4097);
  queue.push(output("stdout", 4097, "c"));
  expect(texts(drain(queue))).toEqual(["stdout 4097 c"]);
});

test("joins nothing to what has been taken, however much is queued", () => {
  const queue = new OutputQueue();
  queue.push(output("stdout", 0, "taken"));
  const large = "x".repeat(4096);
  for (let i = 0; i < 1100; i++) queue.push(output("stderr", i * large.length, large));
  queue.take();
  queue.push(output("stdout", 5, "later"));
  expect(texts(drain(queue)).at(-1)).toBe("stdout 5 later");
});

test("large pieces are queued as they came", () => {
  const queue = new OutputQueue();
  const chunk = Buffer.alloc(65_536);
  queue.push({ kind: "output", stream: "stdout", offset: 0, bytes: chunk });
  expect((queue.take() as Output).bytes.buffer).toBe(chunk.buffer);
});

test("a small piece does not hold the chunk that it came in", () => {
  const queue = new OutputQueue();
  const chunk = Buffer.allocUnsafeSlow(65_536);
  queue.push({ kind: "output", stream: "stdout", offset: 0, bytes: chunk.subarray(0, 1) });
  expect((queue.take() as Output).bytes.buffer).not.toBe(chunk.buffer);
});

test("two streams that take turns byte by byte fill few entries, and every byte is there", () => {
  const queue = new OutputQueue();
  const bytes = 131_072;
  for (let offset = 0; offset < bytes; offset++) {
    queue.push({ kind: "output", stream: "stdout", offset, bytes: Buffer.of(offset % 251) });
    queue.push({ kind: "output", stream: "stderr", offset, bytes: Buffer.of(offset % 241) });
  }
  const events = drain(queue) as Output[];
  expect(events.length).toBeLessThanOrEqual(1024);
  for (const [stream, modulus] of [["stdout", 251] as const, ["stderr", 241] as const]) {
    const whole = Buffer.concat(events.filter((event) => event.stream === stream).map((event) => event.bytes));
    expect(whole.equals(Buffer.from(Array.from({ length: bytes }, (_, i) => i % modulus)))).toBe(true);
  }
});

test("bytes behind a loss never join those before it, however much is queued", () => {
  const queue = new OutputQueue();
  for (let at = 0; at < 4096; at += 2) {
    queue.push({ kind: "output", stream: "stdout", offset: at, bytes: Buffer.from("x") });
    queue.push({ kind: "lost", stream: "stdout", from: at + 1, to: at + 2 });
  }
  let next = 0;
  for (const event of drain(queue)) {
    if (event.kind === "output") expect(event).toMatchObject({ offset: next, bytes: Buffer.from("x") });
    else expect(event).toMatchObject({ from: next });
    next += 1;
  }
  expect(next).toBe(4096);
});

test("each stream comes out whole and contiguous, however it is pushed and taken", () => {
  const step = fc.oneof(
    fc.record({ stream: fc.constantFrom("stdout", "stderr"), size: fc.integer({ min: 1, max: 9000 }) }),
    fc.constant("take" as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new OutputQueue();
      const pushed = { stdout: 0, stderr: 0 };
      const taken = { stdout: 0, stderr: 0 };
      const check = (event: ExecEvent | undefined) => {
        if (event?.kind !== "output") return;
        expect(event.offset).toBe(taken[event.stream]);
        expect(event.bytes.every((byte, i) => byte === (event.offset + i) % 256)).toBe(true);
        taken[event.stream] += event.bytes.length;
      };
      for (const one of steps) {
        if (one === "take") {
          check(queue.take());
          continue;
        }
        const offset = pushed[one.stream];
        const bytes = Buffer.from(Array.from({ length: one.size }, (_, i) => (offset + i) % 256));
        queue.push({ kind: "output", stream: one.stream, offset, bytes });
        pushed[one.stream] += one.size;
      }
      for (const event of drain(queue)) check(event);
      expect(taken).toEqual(pushed);
    }),
  );
});
