import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { Frame } from "../../src/wire/frame.ts";
import { encodeFrame } from "../../src/wire/frame.ts";

const GOLDEN = join(import.meta.dirname, "../golden/frames");

/** What the golden files hold, and `more`: pieces of conversations, each of one frame or of several. */
export const readCorpus = (): readonly Buffer[] =>
  readdirSync(GOLDEN)
    .filter((name) => name.endsWith(".bin"))
    .sort()
    .map((name) => readFileSync(join(GOLDEN, name)));

const HELLOS = ["hello-agent", "hello-launcher"].map((name) => readFileSync(join(GOLDEN, `${name}.bin`)));
const SINGLE = encodeFrame({
  ...{ kind: "hello", channel: 0 },
  json: { generation: 1, role: "agent", version: "0", sandbox: "", incarnation: 0, capabilities: ["execute"] },
});

/** The hello that each listener waits for. */
function helloFor(listener: string): Buffer {
  if (listener === "execute") return SINGLE;
  return (listener === "launcher" ? HELLOS[1] : HELLOS[0]) ?? Buffer.alloc(0);
}

const channel = fc.constantFrom(1, 1, 1, 1, 1, 0, 2, 2 ** 32 - 1);
const stream = fc.constantFrom(1, 1, 1, 2, 0);
const offset = fc.oneof(fc.constantFrom(0, 0, 1, 5, 262_144, 2 ** 32, Number.MAX_SAFE_INTEGER), fc.maxSafeNat());
const entry = {
  ...{ name: "a", type: "file", size: 5, mode: 420, uid: 0, gid: 0, mtimeNs: "1", inode: "1", links: 1 },
};
const report = {
  ...{ exec: "ex_01k6zq3v9nabcdefghjkmnpqrs", code: 0, signal: null, limit: null, wallMs: 1, userMs: 1, systemMs: 1 },
  ...{ peakRssBytes: 1, stdoutBytes: 5, stderrBytes: 0 },
};
/** Answers as an honest agent gives them, so that what follows is heard in every state of a channel. */
const ANSWERS: readonly object[] = [
  {},
  { pid: 7 },
  { pid: 7, stdinOffset: 0, running: true },
  { stdinOffset: 0 },
  { pid: 7, stdout: { from: 0, to: 5 }, stderr: { from: 0, to: 0 }, report: null },
  { entry, etag: "a", path: "/a" },
  { entry, etag: "a", from: 0, to: 5 },
  report,
  { report },
  { report: null },
  { bytes: 5 },
  { bytes: 5, etag: "a" },
  { entries: 1, more: false },
  { matches: 1, more: false, files: 1 },
  { inBytes: 5, outBytes: 5 },
  { code: "not-found", message: "no" },
  { code: null, signal: "SIGKILL" },
  { ports: [{ port: 80, addresses: ["0.0.0.0"] }] },
  { pid: 7, startTime: 1, steps: "overlay:1.500" },
];
const LINES = [
  `${JSON.stringify({ path: "a", entry })}\n`,
  `${JSON.stringify({ path: "a", line: 1, column: 1, text: "x" })}\n`,
  `${JSON.stringify({ kind: "created", path: "a", type: "file" })}\n`,
  "\n",
  "{",
];

const bytes = fc.oneof(
  fc.constantFrom(...["hello", "", ...LINES].map((text) => Buffer.from(text))),
  fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each)),
  fc.nat({ max: 300_000 }).map((length) => Buffer.alloc(length, "x")),
);

const json = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...ANSWERS) },
  // One field of an answer is something else.
  fc.tuple(fc.constantFrom(...ANSWERS), fc.nat(20), fc.jsonValue()).map(([answer, at, value]) => {
    const fields = Object.entries(answer);
    const [name = "extra"] = fields[at % (fields.length + 1)] ?? [];
    return { ...answer, [name]: value };
  }),
  fc.dictionary(fc.oneof(fc.string(), fc.constant("__proto__")), fc.jsonValue()),
);

const frame = fc
  .oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("ack", "exit"), channel, json }) },
    fc.record({ kind: fc.constantFrom("error", "progress", "hello", "open"), channel, json }),
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("data"), channel, stream, offset, bytes }) },
    fc.record({ kind: fc.constant("end"), channel, stream, offset }),
    fc.record({ kind: fc.constant("credit"), channel, bytes: fc.nat({ max: 2 ** 32 - 1 }) }),
    fc.record({ kind: fc.constant("close"), channel }),
    fc.record({ kind: fc.constant("lost"), channel, stream, from: offset, to: offset }),
  )
  .map((each) => encodeFrame({ ...each, json: { ...("json" in each ? each.json : {}) } } as unknown as Frame));

/** One change of bytes: where, and what becomes of them. */
type Change = readonly [at: number, kind: number, value: number];
const change: fc.Arbitrary<Change> = fc.tuple(fc.nat(), fc.nat(4), fc.nat());

function changed(whole: Buffer, [at, kind, value]: Change): Buffer {
  if (whole.length === 0) return whole;
  const from = at % whole.length;
  const to = Math.min(whole.length, from + 1 + (value % 64));
  switch (kind) {
    case 0:
      whole[from] = value;
      return whole;
    case 1:
      return Buffer.concat([whole.subarray(0, from), whole.subarray(to)]);
    case 2:
      return Buffer.concat([whole.subarray(0, to), whole.subarray(from, to), whole.subarray(to)]);
    case 3:
      return whole.subarray(0, from);
    default:
      if (from + 4 <= whole.length) whole.writeUInt32LE(value, from);
      return whole;
  }
}

/** What is said, and in which pieces it comes. */
export interface Speech {
  /** Whether the peer says hello as it should, first. */
  readonly greets: boolean;
  readonly words: readonly Buffer[];
  readonly changes: readonly Change[];
  readonly cuts: readonly number[];
}

export const speech = (corpus: readonly Buffer[]): fc.Arbitrary<Speech> =>
  fc.record({
    greets: fc.nat(9).map((roll) => roll > 0),
    words: fc.array(
      fc.oneof(
        { weight: 6, arbitrary: frame },
        { weight: 2, arbitrary: fc.nat(corpus.length - 1).map((index) => ofFirstChannel(corpus[index])) },
        fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each)),
      ),
      { maxLength: 12 },
    ),
    changes: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(change, { maxLength: 4 })),
    cuts: fc.array(fc.nat(), { maxLength: 6 }),
  });

/** Frames of the corpus speak on channels of their own. */
function ofFirstChannel(frames: Buffer | undefined): Buffer {
  const copy = Buffer.from(frames ?? []);
  if (copy.length >= 9 && copy.readUInt32LE(5) !== 0) copy.writeUInt32LE(1, 5);
  return copy;
}

/** The bytes of a speech to a listener, as they arrive. */
export function spoken(listener: string, { greets, words, changes, cuts }: Speech): readonly Buffer[] {
  const said = changes.reduce(changed, Buffer.concat(words));
  const whole = greets ? Buffer.concat([helloFor(listener), said]) : said;
  const at = cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b);
  const ends = [...at, whole.length];
  return ends.map((end, i) => whole.subarray(ends[i - 1] ?? 0, end)).filter(({ length }) => length > 0);
}
