import * as z from "zod";
import { SECCOMP_ACTIONS, SECCOMP_OPERATORS } from "../model/seccomp.ts";

const action = z.enum(SECCOMP_ACTIONS);
const errno = z.int().min(0).max(4095);
const callName = z.string().regex(/^[a-z0-9_]{1,64}$/, "must be the name of a system call");
const value = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

const condition = z.strictObject({
  caps: z.exactOptional(z.array(z.string().max(64)).max(64)),
  arches: z.exactOptional(z.array(z.string().max(32)).max(32)),
  minKernel: z.exactOptional(z.string().regex(/^\d+\.\d+/, "must be a version such as 4.8")),
});

const argument = z.strictObject({
  index: z.int().min(0).max(5),
  value,
  valueTwo: z.exactOptional(value),
  op: z.enum(SECCOMP_OPERATORS),
});

const rule = z.strictObject({
  names: z.array(callName).min(1).max(1024),
  action,
  errnoRet: z.exactOptional(errno),
  args: z.exactOptional(z.array(argument).max(6).nullable()),
  includes: z.exactOptional(condition),
  excludes: z.exactOptional(condition),
  errno: z.exactOptional(z.string().describe("A name for `errnoRet`; not read.")),
  comment: z.exactOptional(z.string().describe("Not read.")),
});

/** A profile in the OCI format, and with what container engines add to it. */
export const profileSchema = z.strictObject({
  defaultAction: action,
  defaultErrnoRet: z.exactOptional(errno),
  syscalls: z.exactOptional(z.array(rule).max(1024)),
  architectures: z.exactOptional(z.array(z.string()).describe("Not read: others than the machine's own are refused.")),
  archMap: z.exactOptional(z.array(z.unknown()).describe("Not read, as `architectures`.")),
  defaultErrno: z.exactOptional(z.string().describe("A name for `defaultErrnoRet`; not read.")),
});
