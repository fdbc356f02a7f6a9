import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { PlyboxError } from "../model/errors.ts";
import type { Compression } from "./compression.ts";
import { compressionArguments } from "./compression.ts";
import { findProgram, PROGRAM_ENVIRONMENT, requireProgram } from "./programs.ts";

const PROGRESS_EVERY_MS = 200;
const KEPT_STDERR_CHARACTERS = 4096;

/** How far a build is. `doneBytes` is what has been read of `totalBytes` of files. */
export interface BuildProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface PackOptions {
  /** Absolute path of the tree whose content becomes the image's root. */
  readonly source: string;
  /** Absolute path of the image; it does not exist yet. */
  readonly image: string;
  readonly compression: Compression;
  /** Bytes of files below `source`, for progress. */
  readonly totalBytes: number;
  /** Seconds since 1970 that every file gets; their own times are kept without it. */
  readonly fileTime?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: BuildProgress) => void;
}

/**
 * Packs a tree into a squashfs image. The same tree (names, contents, times, owners, modes, attributes) gives the same
 * bytes.
 * @throws PlyboxError `host/missing` without mksquashfs, `layer/build-failed` with its complaint, `aborted`,
 * `input/invalid` for a compression that does not exist
 */
export async function packSquashfs(options: PackOptions): Promise<void> {
  const [program, ...rest] = await command(options);
  const child = spawn(program, rest, {
    stdio: ["ignore", "ignore", "pipe"],
    env: PROGRAM_ENVIRONMENT,
  });
  const closed = once(child, "close") as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-KEPT_STDERR_CHARACTERS);
  });
  const kill = () => void child.kill("SIGKILL");
  options.signal?.addEventListener("abort", kill);
  if (options.signal?.aborted) kill();
  const timer = child.pid === undefined ? undefined : reportProgress(child.pid, options);
  try {
    const [code, signal] = await closed;
    if (options.signal?.aborted) {
      throw new PlyboxError("aborted", "the build was aborted", { cause: options.signal.reason });
    }
    if (code !== 0) {
      const reason = complaint.trim() || (signal === null ? `exit code ${code}` : `killed by ${signal}`);
      throw new PlyboxError("layer/build-failed", `mksquashfs failed: ${reason}`, { step: "mksquashfs" });
    }
  } finally {
    clearInterval(timer);
    options.signal?.removeEventListener("abort", kill);
  }
  options.onProgress?.({ doneBytes: options.totalBytes, totalBytes: options.totalBytes });
}

async function command(options: PackOptions): Promise<[string, ...string[]]> {
  const settings = compressionArguments(options.compression);
  const mksquashfs = await requireProgram("mksquashfs", "squashfs-tools");
  const setpriv = await findProgram("setpriv");
  const pack: [string, ...string[]] = [
    mksquashfs,
    options.source,
    options.image,
    ...settings,
    "-noappend",
    // The superblock's time: the only part of the image that would differ between two runs.
    ...["-mkfs-time", "0"],
    ...(options.fileTime === undefined ? [] : ["-all-time", String(options.fileTime)]),
    "-xattrs",
    "-one-file-system",
    // A file that cannot be read makes the build fail, not the layer incomplete.
    "-exit-on-error",
    "-no-recovery",
    "-no-progress",
    "-quiet",
  ];
  // A builder that is killed takes its mksquashfs with it.
  return setpriv === undefined ? pack : [setpriv, "--pdeathsig", "KILL", ...pack];
}

/** mksquashfs writes its progress bar through a buffer that fills in a minute, so what it has read is asked of the kernel. */
function reportProgress(pid: number, options: PackOptions): NodeJS.Timeout | undefined {
  const { onProgress, totalBytes } = options;
  if (onProgress === undefined) return undefined;
  let doneBytes = 0;
  return setInterval(async () => {
    const text = await readFile(`/proc/${pid}/io`, "utf8").catch(() => "");
    // It reads a little besides the files, and its own output again to find duplicates.
    const read = Math.min(Number(/^rchar: (\d+)$/m.exec(text)?.[1] ?? 0), totalBytes);
    if (read <= doneBytes) return;
    doneBytes = read;
    onProgress({ doneBytes, totalBytes });
  }, PROGRESS_EVERY_MS);
}
