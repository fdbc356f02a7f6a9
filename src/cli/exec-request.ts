import type { CommandOptions } from "./options.ts";
import { environmentOf } from "./options.ts";

/** How a command in a daemon's sandbox runs, as the options say it. */
export interface ExecRequestOptions extends Omit<CommandOptions, "json"> {
  readonly cpuLimit?: number;
  readonly pidsLimit?: number;
  readonly memoryLimit?: number;
  readonly outputLimit?: number;
}

/** The same in the words of the SDK. */
export const execRequestOf = (options: ExecRequestOptions) => ({
  ...environmentOf(options.env),
  ...(options.cwd !== undefined && { cwd: options.cwd }),
  ...(options.user !== undefined && { user: options.user }),
  ...(options.timeLimit !== undefined && { timeLimitMs: options.timeLimit }),
  ...(options.cpuLimit !== undefined && { cpuTimeLimitMs: options.cpuLimit }),
  ...(options.pidsLimit !== undefined && { processLimit: options.pidsLimit }),
  ...(options.memoryLimit !== undefined && { memoryLimitBytes: options.memoryLimit }),
  ...(options.outputLimit !== undefined && { outputLimitBytes: options.outputLimit }),
});
