import * as z from "zod";
import { terminalSize } from "./exec.ts";
import { absolutePath, shellLine, user } from "./text.ts";

/** The query with which a terminal is opened. */
export const terminalQuery = z.strictObject({
  columns: z.exactOptional(terminalSize.shape.columns),
  rows: z.exactOptional(terminalSize.shape.rows),
  command: z.exactOptional(shellLine),
  cwd: z.exactOptional(absolutePath),
  user: z.exactOptional(user),
});

/** The query with which one that runs is listened to again. */
export const terminalAttachQuery = z.strictObject({ from: z.exactOptional(z.int().min(0)) });

/** What a client sends as text; what it sends as bytes is typed. */
export const terminalRequest = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("resize"), ...terminalSize.shape }),
  z.strictObject({ type: z.literal("signal"), signal: z.string().regex(/^SIG[A-Z0-9]{2,10}$/) }),
]);
