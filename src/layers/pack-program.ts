import { readFile } from "node:fs/promises";
import type { BuildProgress } from "../model/layer.ts";
import type { Compression } from "./compression.ts";
import type { ProgramRun } from "./run-program.ts";
import { runProgram } from "./run-program.ts";

const PROGRESS_EVERY_MS = 200;

export interface PackOptions {
  /** Absolute path of the tree whose content becomes the image's root. */
  readonly source: string;
  /** Absolute path of the image; it does not exist yet. */
  readonly image: string;
  readonly compression: Compression;
  /** Bytes of files below `source`, for progress; a promise of them does not fail. */
  readonly totalBytes: number | Promise<number>;
  /** Directories below `source` that are mounts; they are left out. */
  readonly mounts: readonly string[];
  /** Whether a squashfs image's table of extended attributes is left as it is, for who changes it. */
  readonly plainAttributes?: boolean;
  /** Seconds since 1970 that every file gets; their own times are kept without it. */
  readonly fileTime?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
}

export interface PackRun
  extends Pick<PackOptions, "totalBytes" | "onProgress">,
    Omit<ProgramRun, "onStart" | "onComplaint"> {}

/**
 * Runs a program that makes an image. Who makes its input, where it has one, tells the progress.
 * @throws as `runProgram`
 */
export async function runPacker(run: PackRun): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const onStart = (pid: number): void => {
    timer = run.input === undefined ? reportProgress(pid, run) : undefined;
  };
  try {
    await runProgram({ ...run, onStart });
  } finally {
    clearInterval(timer);
  }
  const totalBytes = await run.totalBytes;
  run.onProgress?.({ step: "pack", doneBytes: totalBytes, totalBytes });
}

/** Both programs tell their progress late or not at all, so what they have read is asked of the kernel. */
function reportProgress(pid: number, { onProgress, ...run }: PackRun): NodeJS.Timeout | undefined {
  if (onProgress === undefined) return undefined;
  let doneBytes = 0;
  return setInterval(async () => {
    const totalBytes = await run.totalBytes;
    const text = await readFile(`/proc/${pid}/io`, "utf8").catch(() => "");
    // They read a little besides the files, and their own output again to find duplicates.
    const read = Math.min(Number(/^rchar: (\d+)$/m.exec(text)?.[1] ?? 0), totalBytes);
    if (read <= doneBytes) return;
    doneBytes = read;
    onProgress({ step: "pack", doneBytes, totalBytes });
  }, PROGRESS_EVERY_MS);
}
