import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  readAttachAck,
  readDialReport,
  readExecAck,
  readExecList,
  readExecReport,
  readPorts,
  readReadAck,
  readReadExit,
  readUsage,
} from "./agent-messages.ts";
import { readExecutionReport, readProgress } from "./execution-messages.ts";
import type { Frame } from "./frame.ts";
import { encodeFrame } from "./frame.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { readLaunchAck, readSandboxExit } from "./launcher-messages.ts";
import { readEmpty, readError, readHello } from "./messages.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import type { Reader } from "./strict-reader.ts";

interface GoldenCase {
  readonly file: string;
  readonly frames?: readonly Readonly<Record<string, unknown>>[];
  readonly error?: string;
}

const golden = join(import.meta.dirname, "../../test/golden");
const read = (name: string) => readFileSync(join(golden, "frames", name));
const cases = JSON.parse(read("frames.json").toString()) as GoldenCase[];
const brokenPayloads = JSON.parse(read("payloads.json").toString()) as GoldenCase[];

/** A frame as the golden files write it. */
function describeFrame(frame: Frame): Record<string, unknown> {
  if (frame.kind !== "data") return { ...frame };
  const { bytes, ...rest } = frame;
  return { ...rest, payloadHex: Buffer.from(bytes).toString("hex") };
}

function parse(fields: Readonly<Record<string, unknown>>): Frame {
  if (fields.kind !== "data") return fields as Frame;
  const { payloadHex, ...rest } = fields;
  const bytes = Buffer.from(payloadHex as string, "hex");
  return { ...rest, bytes } as unknown as Frame;
}

function decode(bytes: Buffer): { frames: Frame[]; midFrame: boolean } {
  const frames: Frame[] = [];
  const decoder = new FrameDecoder((frame) => frames.push(frame));
  decoder.push(bytes);
  return { frames, midFrame: decoder.midFrame };
}

function violationOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolViolation) return error.reason;
    throw error;
  }
  return undefined;
}

test("the golden files are what their script makes", () => {
  const directory = mkdtempSync(join(tmpdir(), "plybox-golden-"));
  try {
    execFileSync(process.execPath, [join(golden, "make.mjs"), directory]);
    const made = join(directory, "frames");
    expect(readdirSync(made)).toEqual(readdirSync(join(golden, "frames")));
    for (const name of readdirSync(made)) expect(readFileSync(join(made, name)), name).toEqual(read(name));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

describe("golden frames", () => {
  const sound = cases.filter((one) => one.frames !== undefined);
  test.each(sound)("$file is decoded, and encoded to the same bytes", ({ file, frames = [] }) => {
    const bytes = read(file);
    const decoded = decode(bytes);
    expect(decoded.frames.map(describeFrame)).toEqual(frames);
    expect(decoded.midFrame).toBe(false);
    expect(Buffer.concat(frames.map((frame) => encodeFrame(parse(frame))))).toEqual(bytes);
  });

  const unsound = [...cases.filter((one) => one.error !== undefined), ...brokenPayloads];
  test.each(unsound)("$file is refused for its $error", ({ file, error }) => {
    expect(violationOf(() => decode(read(file)))).toBe(error);
  });
});

describe("golden messages", () => {
  const readers: Readonly<Record<string, Reader<unknown>>> = {
    "hello-agent": readHello,
    "ack-empty": readEmpty,
    "ack-exec": readExecAck,
    "ack-attach": readAttachAck,
    "ack-read": readReadAck,
    "ack-list": readExecList,
    "ack-ports": readPorts,
    "ack-usage": readUsage,
    "ack-launch": readLaunchAck,
    "exit-read": readReadExit,
    "exit-dial": readDialReport,
    "exit-exec": readExecReport,
    "exit-exec-signal": readExecReport,
    "exit-exec-limit": readExecReport,
    "exit-execute": readExecutionReport,
    "exit-execute-compile": readExecutionReport,
    "exit-execute-memory": readExecutionReport,
    progress: readProgress,
    "exit-launch": readSandboxExit,
    "error-not-found": readError,
    "error-field": readError,
    "error-connection": readError,
  };
  const messages = Object.entries(readers).map(([name, reader]) => {
    const json = cases.find(({ file }) => file === `${name}.bin`)?.frames?.[0]?.json;
    return { name, reader, json: json as Record<string, unknown> };
  });

  test("cover every message that a peer sends", () => {
    const answers = cases
      .filter(({ file }) => /^(hello-agent|ack|exit|error|progress)/.test(file))
      .map(({ file }) => file);
    expect(
      Object.keys(readers)
        .map((name) => `${name}.bin`)
        .sort(),
    ).toEqual(answers.sort());
  });

  test.each(messages)("$name is read whole", ({ reader, json }) => {
    expect(reader(json, "json")).toEqual(json);
  });

  test.each(messages)("$name is refused with an unknown field", ({ reader, json }) => {
    expect(violationOf(() => reader({ ...json, extra: 1 }, "json"))).toBe("payload");
    const withPrototype = JSON.parse(`{"__proto__":{},${JSON.stringify(json).slice(1)}`.replace(",}", "}"));
    expect(violationOf(() => reader(withPrototype, "json"))).toBe("payload");
  });

  const optional = ["field", "step", "errno", "memoryPeakBytes", "limitsMet"];
  const fields = messages.flatMap((message) => Object.keys(message.json).map((field) => ({ ...message, field })));
  test.each(fields)("$name is refused without $field, or with one of another type", ({ reader, json, field }) => {
    const { [field]: _, ...rest } = json;
    if (!optional.includes(field)) expect(violationOf(() => reader(rest, "json"))).toBe("payload");
    for (const wrong of [{}, [[]], -1, Number.MAX_SAFE_INTEGER + 1]) {
      expect(
        violationOf(() => reader({ ...json, [field]: wrong }, "json")),
        `${field}: ${wrong}`,
      ).toBe("payload");
    }
  });
});
