import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { requireProgram } from "../programs.ts";
import { runProgram } from "../run-program.ts";
import type { DebianSources } from "./debian-sources.ts";

export interface SystemOptions {
  readonly packages: readonly string[];
  readonly sources: DebianSources;
  /** Of programs that speak to the network. */
  readonly environment: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Told of each step that mmdebstrap begins. */
  readonly onStep?: (step: string) => void;
}

/**
 * Makes a Debian system with `packages` as a tar archive at `target`, in `scratch`, by mmdebstrap. Returns the command.
 * @throws PlyboxError `host/missing`, `layer/build-failed` with its complaint, `aborted`
 */
export async function makeSystem(target: string, scratch: string, options: SystemOptions): Promise<readonly string[]> {
  const { packages, sources, environment, signal, onStep } = options;
  const program = await requireProgram("mmdebstrap", "mmdebstrap");
  await mkdir(scratch, { mode: 0o700 });
  try {
    const list = join(scratch, "sources.list");
    const settings = join(scratch, "apt.conf");
    await writeFile(list, `${sources.lines.join("\n")}\n`);
    await writeFile(settings, `${['Acquire::Languages "none";', ...sources.options].join("\n")}\n`);
    const shared = ["--variant=minbase", "--format=tar", ...packages.map((name) => `--include=${name}`)];
    await runProgram({
      program,
      // What a crash would lose is made again.
      args: [...shared, "--dpkgopt=force-unsafe-io", `--aptopt=${settings}`, sources.suite, target, list],
      environment: { ...environment, TMPDIR: scratch },
      ...(signal && { signal }),
      onComplaint: (text) => {
        for (const [, step = ""] of text.matchAll(/^I: (.*?)\.*$/gm)) onStep?.(step);
      },
    });
    return ["mmdebstrap", ...shared, sources.suite, ...sources.lines];
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
