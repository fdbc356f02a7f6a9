import { posix } from "node:path";
import { invalid, quoted } from "../dockerfile/refuse.ts";
import type { SpoolWork } from "../file-tree.ts";
import { spoolTree, toBytes, toText } from "../file-tree.ts";
import type { Source } from "../steps/copy-step.ts";
import type { StepSandbox } from "../steps/step-sandbox.ts";
import { globPattern, isGlob } from "./glob.ts";

export interface StageWork extends SpoolWork {
  /** Where the next archive is kept. */
  readonly nextPath: () => string;
  /** Of the COPY. */
  readonly line: number;
}

/**
 * What sources of a COPY mean in another stage, links followed.
 * @throws PlyboxError `build/invalid`, and as `spoolTree`
 */
export async function stageSources(
  sandbox: StepSandbox,
  sources: readonly string[],
  work: StageWork,
): Promise<readonly Source[]> {
  const found: Source[] = [];
  for (const source of sources) {
    const paths = await matches(sandbox, source, work.line);
    for (const path of paths) {
      const there = await sandbox.status(path);
      if (there === undefined) throw notThere(source, work.line);
      const tree = await spoolTree(await sandbox.archive(there.path), work.nextPath(), work);
      const [file] = tree.root.children.values();
      const node = there.type === "directory" ? tree.root : file;
      if (node === undefined) throw invalid(work.line, `${quoted(toText(path))} is nothing that can be copied`);
      found.push({ name: posix.basename(path), node, tree });
    }
    if (paths.length === 0) throw notThere(source, work.line);
  }
  return found;
}

/** Absolute paths, one character a byte. */
async function matches(sandbox: StepSandbox, source: string, line: number): Promise<readonly string[]> {
  let paths: readonly string[] = ["/"];
  for (const part of posix
    .resolve("/", source)
    .split("/")
    .filter((each) => each !== "")) {
    if (!isGlob(part)) {
      paths = paths.map((path) => posix.join(path, toBytes(part)));
      continue;
    }
    const pattern = globPattern(toBytes(part), line);
    const next: string[] = [];
    for (const path of paths) {
      const names = (await sandbox.status(path))?.type === "directory" ? await sandbox.names(path) : [];
      next.push(
        ...names
          .filter((name) => pattern(name))
          .sort()
          .map((name) => posix.join(path, name)),
      );
    }
    paths = next;
  }
  return paths;
}

const notThere = (source: string, line: number): Error => invalid(line, `${quoted(source)} is not there`);
