import type { ExecutionProgress, ExecutionReport, ExecutionRequest, Verdict } from "../model/execution.ts";
import { EXECUTION_LIMITS, MEMORY_EVIDENCE, VERDICTS } from "../model/execution.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import type { Reader } from "./strict-reader.ts";
import { integer, matching, nonNegative, nullable, object, oneOf, text } from "./strict-reader.ts";

/** Longer input goes in a stream: the request is one frame, and the source has to fit into it too. */
const INLINE_STDIN_BYTES = 65_536;
const COMPILE_OUTPUT_BYTES = 65_536;

type Content = string | { readonly base64: string };
type Stdin = NonNullable<ExecutionRequest["stdin"]>;

type ExecuteMessage = Omit<ExecutionRequest, "source" | "stdin"> & {
  readonly type: "execute";
  readonly source: Content;
  readonly stdin?: Content;
  readonly stdinStream?: boolean;
};

/** The request as it is sent, and the part of stdin that follows it in a stream. */
export function executeMessage(request: ExecutionRequest): {
  message: ExecuteMessage;
  stdin: AsyncIterable<Uint8Array> | undefined;
} {
  const { source, stdin, ...rest } = request;
  const message = { type: "execute", ...rest, source: content(source) } as const;
  if (stdin === undefined) return { message, stdin: undefined };
  if (isInline(stdin)) return { message: { ...message, stdin: content(stdin) }, stdin: undefined };
  const streamed = typeof stdin === "string" || stdin instanceof Uint8Array ? once(stdin) : stdin;
  return { message: { ...message, stdinStream: true }, stdin: streamed };
}

function isInline(stdin: Stdin): stdin is string | Uint8Array {
  if (typeof stdin === "string") return Buffer.byteLength(stdin) <= INLINE_STDIN_BYTES;
  return stdin instanceof Uint8Array && stdin.length <= INLINE_STDIN_BYTES;
}

/** JSON text where it can be: the agent takes no NUL in texts. */
function content(value: string | Uint8Array): Content {
  return typeof value === "string" && !value.includes("\0") ? value : { base64: Buffer.from(value).toString("base64") };
}

async function* once(value: string | Uint8Array): AsyncGenerator<Uint8Array> {
  yield Buffer.from(value);
}

const count = integer(0);

export const readProgress = object<ExecutionProgress>({
  phase: oneOf("compile", "run"),
  wallMs: nonNegative,
  cpuMs: nonNegative,
  residentBytes: count,
  processes: count,
  stdoutBytes: count,
  stderrBytes: count,
});

const readFields = object<ExecutionReport>({
  result: oneOf(...VERDICTS),
  code: nullable(integer(0, 255)),
  signal: nullable(matching(/^SIG[A-Z0-9+]{1,16}$/)),
  limit: oneOf(...EXECUTION_LIMITS, null),
  memoryEvidence: oneOf(...MEMORY_EVIDENCE, null),
  wallMs: nonNegative,
  cpuMs: nonNegative,
  compileMs: nullable(nonNegative),
  peakBytes: count,
  stdoutBytes: count,
  stderrBytes: count,
  compileOutput: text(COMPILE_OUTPUT_BYTES),
  compileOutputLost: count,
});

const LIMITS_OF: Readonly<Record<Verdict, readonly ExecutionReport["limit"][]>> = {
  success: [null],
  runtime_error: [null],
  timeout: ["wall", "cpu"],
  memory_exceeded: ["memory"],
  output_exceeded: ["output"],
  compilation_error: [null, "wall"],
};

/** A report whose verdict and evidence agree. */
export const readExecutionReport: Reader<ExecutionReport> = (value, path) => {
  const report = readFields(value, path);
  const { result, code, signal, limit, memoryEvidence } = report;
  const agrees =
    (code === null) !== (signal === null) &&
    LIMITS_OF[result].includes(limit) &&
    (memoryEvidence === null) === (result !== "memory_exceeded") &&
    (result !== "success" || code === 0);
  if (agrees) return report;
  throw new ProtocolViolation("payload", `${path} says ${result} against its own evidence`);
};
