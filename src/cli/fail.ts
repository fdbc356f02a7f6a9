import { CommanderError } from "commander";
import type { ErrorCode } from "../model/errors.ts";
import { ERRORS } from "../model/errors.ts";
import { masked } from "../model/printable.ts";

/** What an error that ends the program says and exits with. */
export interface Failure {
  /** One line without its end; empty where nothing is to be said. */
  readonly line: string;
  readonly exitCode: number;
}

interface CodedError extends Error {
  readonly code: ErrorCode;
  readonly field?: string | undefined;
}

/** The one place where an error becomes what the user sees: `plybox: message (code)`. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) return failureOfParser(error);
  if (isCoded(error)) {
    const { code, field, message } = error;
    // Most messages name their field; those of the API's schemas say only what is wrong with it.
    const where = field === undefined || message.includes(field) ? "" : `${field}: `;
    const hint = code === "daemon/unreachable" ? "; is plybox serve running?" : "";
    return { line: lineOf(`${where}${message}${hint}`, code), exitCode: ERRORS[code].exit };
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    line: lineOf(`${message}; PLYBOX_DEBUG=1 shows where`, "internal"),
    exitCode: ERRORS.internal.exit,
  };
}

/** The SDK's errors are of another class than the model's; their codes are of the same table. */
export function isCoded(error: unknown): error is CodedError {
  return (
    error instanceof Error && "code" in error && typeof error.code === "string" && Object.hasOwn(ERRORS, error.code)
  );
}

function failureOfParser(error: CommanderError): Failure {
  if (error.exitCode === 0) return { line: "", exitCode: 0 };
  // A command of commands, without one: its help has been shown.
  if (error.code === "commander.help") return { line: "", exitCode: 125 };
  return { line: lineOf(error.message.replace(/^error: /, ""), "input/invalid"), exitCode: 125 };
}

/** Control characters would let a message write elsewhere on the terminal. */
function lineOf(message: string, code: ErrorCode): string {
  return `plybox: ${masked(message, " ").replace(/ {2,}/g, " ").trim()} (${code})`;
}
