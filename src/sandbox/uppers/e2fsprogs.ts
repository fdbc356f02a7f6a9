import type { ExecFileException } from "node:child_process";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { PROGRAM_ENVIRONMENT, requireProgram } from "../../layers/programs.ts";

interface Ending {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly complaint: string;
}

/**
 * Runs a program on an image, whose path is its last argument. Its complaint does not have that path, which is nobody's
 * business who uses the API.
 * @throws PlyboxError `host/missing` where the program is not installed
 */
export async function runE2fs(
  name: "mkfs.ext4" | "e2fsck",
  options: readonly string[],
  image: string,
): Promise<Ending> {
  const program = await requireProgram(name, "e2fsprogs");
  try {
    await promisify(execFile)(program, [...options, image], { env: PROGRAM_ENVIRONMENT });
    return { code: 0, complaint: "" };
  } catch (error) {
    const { code, signal, stdout, stderr } = error as ExecFileException & { stdout?: string; stderr?: string };
    const complaint = stderr?.trim() || stdout?.trim() || `ended by ${signal ?? code}`;
    return { code: typeof code === "number" ? code : null, complaint: complaint.replaceAll(image, "the image") };
  }
}
