import { PlyboxError } from "../../model/errors.ts";
import type { ExecReport } from "../../model/exec.ts";
import type { Instruction } from "../dockerfile/instructions.ts";
import { quoted } from "../dockerfile/refuse.ts";
import type { Arguments, StageState } from "../dockerfile/stage-state.ts";
import { argvOf, environmentOf, proxiesOf } from "../dockerfile/stage-state.ts";
import type { Step } from "./step-runner.ts";

type Run = Extract<Instruction, { readonly kind: "run" }>;

/** Of its output, what an error shows. */
const TAIL_BYTES = 4096;
const TAIL_LINES = 20;

/**
 * A RUN as a step: its result depends on the command, who runs it, where, and its environment, but on no proxy.
 * @param onLine told of the last line of its output, as it grows
 */
export function runStep(
  instruction: Run,
  state: StageState,
  { args, onLine }: { readonly args: Arguments; readonly onLine: (line: string) => void },
): Step & { readonly argv: readonly string[] } {
  const { workingDir: cwd, user } = state.config;
  const argv = argvOf(instruction.command, state);
  const env = environmentOf(state);
  return {
    argv,
    kind: "run",
    key: ["run", argv, cwd, user, sorted(env)],
    text: `RUN ${instruction.text}`,
    async work(sandbox) {
      const output = new Tail(onLine);
      const request = {
        ...{ command: argv, env: { ...proxiesOf(args), ...env } },
        ...(cwd !== null && { cwd }),
        ...(user !== null && { user }),
      };
      const report = await sandbox.run(request, (bytes) => output.add(bytes));
      if (report.code !== 0) throw failed(instruction, report, output.text());
    },
  };
}

const sorted = (env: Readonly<Record<string, string>>) => Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1));

function failed({ line, text }: Run, { code, signal, limit }: ExecReport, tail: string): PlyboxError {
  const how =
    limit !== null ? `met its limit of ${limit}` : code === null ? `was ended by ${signal}` : `ended with ${code}`;
  const said = tail === "" ? "; it said nothing" : `:\n${tail}`;
  return new PlyboxError("build/step-failed", `line ${line}: RUN ${quoted(text)} ${how}${said}`, { line });
}

/** The end of what a command says. */
class Tail {
  readonly #onLine: (line: string) => void;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  add(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]).subarray(-TAIL_BYTES);
    const last = this.#lines().at(-1);
    if (last !== undefined) this.#onLine(last);
  }

  text(): string {
    return this.#lines().slice(-TAIL_LINES).join("\n");
  }

  #lines(): readonly string[] {
    return this.#bytes
      .toString()
      .split(/[\r\n]+/)
      .filter((line) => line.trim() !== "");
  }
}
