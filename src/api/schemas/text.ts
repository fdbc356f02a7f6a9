import * as z from "zod";

/** The kernel takes one argument, or one `NAME=value`, of at most 128 KiB with its final NUL (MAX_ARG_STRLEN). */
const MAX_ARGUMENT_BYTES = 128 * 1024 - 1;
/** All arguments, or all of an environment, together. */
const MAX_VECTOR_BYTES = 1024 * 1024;
const MAX_PATH_BYTES = 4095;

/** Neither NUL, which ends a C string, nor half of a surrogate pair, which has no UTF-8. */
const WRITABLE = /^[^\0\p{Cs}]*$/u;
const UNWRITABLE = "must not contain NUL or half a surrogate pair";
const ABSOLUTE_PATH = /^\/[^\0\p{Cs}]*$/u;
const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/;

const atMost = (bytes: number, what: string) =>
  [
    (text: string) => Buffer.byteLength(text) <= bytes,
    `${what} must be at most ${bytes.toLocaleString("en")} bytes of UTF-8`,
  ] as const;

/** Bytes that a list of C strings takes, each with its final NUL. */
function vectorBytes(strings: Iterable<string>): number {
  let bytes = 0;
  for (const text of strings) bytes += Buffer.byteLength(text) + 1;
  return bytes;
}

const writable = z.string().regex(WRITABLE, UNWRITABLE);

const argument = writable.refine(...atMost(MAX_ARGUMENT_BYTES, "one argument"));

export const argumentList = z
  .array(argument)
  .min(1, "must name a program")
  .refine((list) => list[0] !== "", { error: "must not be empty", path: [0] })
  .refine((list) => vectorBytes(list) <= MAX_VECTOR_BYTES, "all arguments together must be at most 1 MiB");

export const shellLine = argument.min(1, "must not be empty");

export const absolutePath = z
  .string()
  .regex(ABSOLUTE_PATH, "must be an absolute path without NUL")
  .refine(...atMost(MAX_PATH_BYTES, "a path"));

export const user = z.string().max(128).regex(USER, "must be name, uid, name:group or uid:gid");

export const environment = z
  .record(
    z.string().regex(ENVIRONMENT_NAME, "an environment name is A-Z a-z 0-9 _, not starting with a digit"),
    writable,
  )
  .superRefine((env, context) => {
    let bytes = 0;
    for (const [name, value] of Object.entries(env)) {
      const entry = Buffer.byteLength(name) + Buffer.byteLength(value) + 1;
      bytes += entry + 1;
      if (entry > MAX_ARGUMENT_BYTES) {
        context.addIssue({ code: "custom", path: [name], message: "must be at most 128 KiB with its name" });
      }
    }
    if (bytes > MAX_VECTOR_BYTES) {
      context.addIssue({ code: "custom", message: "all variables together must be at most 1 MiB" });
    }
  });
