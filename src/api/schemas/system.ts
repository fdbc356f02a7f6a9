import * as z from "zod";
import type { ErrorCode } from "../../model/errors.ts";
import { ERRORS } from "../../model/errors.ts";

export const health = z.object({ status: z.literal("ok") });

export const ready = z.object({
  ready: z.boolean(),
  reasons: z.array(z.string()).describe("Why not; empty when ready."),
});

export const version = z.object({
  version: z.string().describe("Of the daemon."),
  api: z.literal("v1"),
});

export const errorBody = z.object({
  error: z.object({
    code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]).describe("Stable; programs decide by it."),
    message: z.string().describe("For people; its wording may change."),
    field: z.exactOptional(z.string().describe("Dotted path of the offending input field.")),
    line: z.exactOptional(z.int().describe("Of a Dockerfile, from 1 on.")),
    step: z.exactOptional(z.string().describe("The native step that failed.")),
    errno: z.exactOptional(z.string().describe("Linux error name, such as ENOSPC.")),
  }),
});

export const anyJson = z.record(z.string(), z.unknown());
