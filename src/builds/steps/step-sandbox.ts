import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { LayerStore } from "../../layers/layer-store.ts";
import type { TreeBounds } from "../../layers/tar/tree-meter.ts";
import { PlyboxError } from "../../model/errors.ts";
import type { ExecReport, ExecRequest, ExecSession } from "../../model/exec.ts";
import type { FileStatus } from "../../model/file.ts";
import type { Digest, SandboxId } from "../../model/ids.ts";
import { newExecId } from "../../model/ids.ts";
import type { Limits } from "../../model/sandbox.ts";
import { SandboxFiles } from "../../sandbox/files/sandbox-files.ts";
import type { SandboxPlaces } from "../../sandbox/launch-plan.ts";
import { upperPath } from "../../sandbox/launch-plan.ts";
import type { SandboxService } from "../../sandbox/sandbox-service.ts";
import type { Marks } from "../../snapshots/plies/tree-program.ts";
import { toBytes, toText } from "../file-tree.ts";
import { exceeds } from "./written-bytes.ts";

/** Of a file that is read whole, such as /etc/passwd. */
const MOST_TEXT_BYTES = 1024 * 1024;

/** What builds stand on. Its sandboxes end with this process, and it has one at a time. */
export interface BuildParts {
  readonly sandboxes: SandboxService;
  readonly layers: LayerStore;
  readonly places: SandboxPlaces;
  /** Whose attributes hold overlayfs's marks. */
  readonly marks: Marks;
  readonly bounds: TreeBounds;
  /** Of programs that speak to the network. */
  readonly environment: Readonly<Record<string, string>>;
  /** A directory of this build alone. */
  readonly workspace: string;
  /** Where Plybox keeps all that is its own. */
  readonly own: string;
}

/** A sandbox in which one step of a build is done. What it writes is on disk, where it can be packed. */
export class StepSandbox implements AsyncDisposable {
  readonly #parts: BuildParts;
  readonly #id: SandboxId;
  readonly #files: SandboxFiles;
  readonly #signal: AbortSignal | undefined;

  private constructor(parts: BuildParts, id: SandboxId, signal: AbortSignal | undefined) {
    this.#parts = parts;
    this.#id = id;
    this.#files = new SandboxFiles(parts.sandboxes);
    this.#signal = signal;
  }

  /** @param layers that it stands on, lowest first */
  static async open(
    parts: BuildParts,
    layers: readonly Digest[],
    {
      limits,
      signal,
    }: { readonly limits?: Partial<Limits> | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<StepSandbox> {
    const spec = {
      layers,
      upper: { kind: "disk" },
      start: null,
      hostname: "build",
      ...(limits && { limits }),
    } as const;
    const { id } = await parts.sandboxes.create(spec, signal);
    return new StepSandbox(parts, id, signal);
  }

  /**
   * Runs a command to its end, which an abort is, too.
   * @param onOutput told of stdout and stderr as they come
   */
  async run(request: Omit<ExecRequest, "exec">, onOutput: (bytes: Uint8Array) => void): Promise<ExecReport> {
    const { sandboxes, bounds } = this.#parts;
    const session = await sandboxes.exec(this.#id, { ...request, exec: newExecId(), merge: true }, this.#signal);
    const ended = new AbortController();
    const stop = (): void => session.close();
    this.#signal?.addEventListener("abort", stop, { once: true });
    const watch = exceeds(this.#upper, bounds.unpackedBytes, ended.signal).finally(stop);
    let report: ExecReport | undefined;
    try {
      report = await outcome(session, onOutput);
    } catch (error) {
      this.#requireGoing();
      throw error;
    } finally {
      ended.abort();
      this.#signal?.removeEventListener("abort", stop);
      session.close();
    }
    if (await watch) throw new PlyboxError("layer/too-large", `it wrote more than ${bounds.unpackedBytes} bytes`);
    this.#requireGoing();
    if (report !== undefined) return report;
    throw new PlyboxError("internal", "the command of a build has no end");
  }

  /** With links followed; undefined where there is nothing. Paths are one character a byte. */
  async status(path: string): Promise<{ readonly type: string; readonly path: string } | undefined> {
    try {
      const { entry, path: resolved } = await this.#stat(path);
      return { type: entry.type, path: typeof resolved === "string" ? toBytes(resolved) : bytesOf(resolved) };
    } catch (error) {
      if (error instanceof PlyboxError && error.code === "file/not-found") return undefined;
      throw error;
    }
  }

  async #stat(path: string): Promise<FileStatus> {
    return await this.#files.stat(this.#id, { path: pathText(path), follow: true }, this.#signal);
  }

  async names(path: string): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const batch of await this.#files.list(this.#id, { path: pathText(path) }, this.#signal)) {
      for (const line of batch) {
        if (!("entry" in line)) continue;
        const { name } = line.entry;
        names.push(typeof name === "string" ? toBytes(name) : bytesOf(name));
      }
    }
    return names;
  }

  async readText(path: string): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of await this.#files.read(this.#id, { path, to: MOST_TEXT_BYTES }, this.#signal))
      chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#files.mkdir(this.#id, { path, parents: true });
  }

  /** What is at a path, as an archive. */
  async archive(path: string): Promise<AsyncIterable<Buffer>> {
    return await this.#files.tarOut(this.#id, { path: pathText(path) }, this.#signal);
  }

  /** Unpacks an archive whose names begin at the root and lead through no link. */
  async unpack(archive: Readable): Promise<void> {
    await pipeline(archive, await this.#files.tarIn(this.#id, { path: "/" }, this.#signal));
  }

  /** Ends what runs in it, and tells where on this machine all that it has written is. */
  async finish(): Promise<string> {
    await this.#parts.sandboxes.lifecycle.stop(this.#id);
    return this.#upper;
  }

  get #upper(): string {
    return join(upperPath(this.#parts.sandboxes.get(this.#id), this.#parts.places), "upper");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.sandboxes.remove(this.#id);
  }

  #requireGoing(): void {
    if (!this.#signal?.aborted) return;
    throw new PlyboxError("aborted", "the build was aborted", { cause: this.#signal.reason });
  }
}

/** Undefined where the session was closed before the command's end. */
async function outcome(session: ExecSession, onOutput: (bytes: Uint8Array) => void): Promise<ExecReport | undefined> {
  for await (const event of session) {
    if (event.kind === "output") onOutput(event.bytes);
    else if (event.kind === "exit") return event.report;
  }
  return undefined;
}

const bytesOf = ({ base64 }: { readonly base64: string }): string => Buffer.from(base64, "base64").toString("latin1");

/** Text where the bytes are UTF-8. */
function pathText(path: string): string | { readonly base64: string } {
  const text = toText(path);
  return toBytes(text) === path ? text : { base64: Buffer.from(path, "latin1").toString("base64") };
}
