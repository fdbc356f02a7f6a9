import { expect, it } from "vitest";
import { parseTraceparent } from "./traceparent.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

it("a caller's place in its trace is read from traceparent", () => {
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, isSampled: true });
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-00`)).toEqual({ traceId: TRACE, spanId: SPAN, isSampled: false });
  expect(parseTraceparent(`cc-${TRACE}-${SPAN}-03-later`)).toEqual({ traceId: TRACE, spanId: SPAN, isSampled: true });
});

it.each([
  undefined,
  "",
  "nonsense",
  `00-${TRACE}-${SPAN}`,
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-more`,
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${"0".repeat(16)}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  ` 00-${TRACE}-${SPAN}-01`,
])("%j begins a trace of its own", (header) => {
  expect(parseTraceparent(header)).toBeUndefined();
});
