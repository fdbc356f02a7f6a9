import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ServerSentEvent } from "./server-sent-events.ts";
import { serverSentEvents } from "./server-sent-events.ts";

async function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  yield bytes.subarray(at);
}

async function parse(text: string, sizes: readonly number[] = []): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const event of serverSentEvents(chunksOf(new TextEncoder().encode(text), sizes))) events.push(event);
  return events;
}

const TEXT = [
  "\ufeff: a comment",
  "event: first",
  "id: 1.2",
  "data: one",
  "data:two",
  "",
  "data",
  "data: é😀",
  "",
  "event: nothing",
  "",
  "unknown: x",
  "retry: 5",
  "id: bad\0id",
  "data:  spaced",
  "",
  "data: cut off",
];

const EVENTS: ServerSentEvent[] = [
  { event: "first", data: "one\ntwo", id: "1.2" },
  { event: "message", data: "\né😀", id: "1.2" },
  { event: "message", data: " spaced", id: "1.2" },
];

describe("server-sent events", () => {
  it.each(["\n", "\r\n", "\r"])("are read whatever the line ends with (%j)", async (ending) => {
    expect(await parse(TEXT.join(ending))).toEqual(EVENTS);
  });

  it("do not depend on how the bytes are cut", async () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 60 });
    const endings = fc.constantFrom("\n", "\r\n", "\r");
    await fc.assert(
      fc.asyncProperty(sizes, endings, async (cut, ending) => {
        expect(await parse(TEXT.join(ending), cut)).toEqual(EVENTS);
      }),
    );
  });

  it("end with a carriage return, too", async () => {
    expect(await parse("data: x\r\r")).toEqual([{ event: "message", data: "x", id: "" }]);
  });
});
