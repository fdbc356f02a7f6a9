import { PlyboxError } from "../model/errors.ts";
import type { Relay } from "../model/file-relay.ts";
import type { SandboxFiles } from "../sandbox/files/sandbox-files.ts";
import { json, noContent } from "./answers.ts";
import { writeConditions } from "./file-conditions.ts";
import { readContent } from "./file-content.ts";
import { acceptsLines, collectLines, sendLines } from "./file-lines.ts";
import type { FileRoutes } from "./file-routes.ts";
import { sendHead, sendStream } from "./file-transfer.ts";
import { foundView, listedView, statusView } from "./file-view.ts";
import { receiveUpload } from "./relayed-body.ts";
import type { Handlers } from "./route.ts";
import type { ServerSentEvent, ServerSentEventOptions } from "./server-sent-events.ts";
import { serverSentEvents } from "./server-sent-events.ts";

export interface FileHandlerOptions extends ServerSentEventOptions {
  readonly files: SandboxFiles;
  /** For what is large; without it every byte passes this process. */
  readonly relay: Relay | undefined;
}

/** Entries of a page and matches of an answer, where the request does not say. */
const PAGE = 1000;

export function fileHandlers({ files, relay, ...options }: FileHandlerOptions): Handlers<FileRoutes> {
  return { ...contentHandlers(files, relay), ...treeHandlers(files), ...streamHandlers(files, options) };
}

type Part<Names extends keyof FileRoutes> = Handlers<Pick<FileRoutes, Names>>;

function contentHandlers(
  files: SandboxFiles,
  relay: Relay | undefined,
): Part<"readFile" | "writeFile" | "downloadTar" | "uploadTar"> {
  return {
    readFile: (call) => readContent(files, call, relay),

    async writeFile({ params, query, incoming, outgoing, signal }) {
      const { isNew, ...condition } = writeConditions(incoming.headers);
      const { mode, ...fields } = query;
      const request = {
        ...fields,
        ...condition,
        ...(mode !== undefined && { mode: parseMode(mode) }),
        ...(isNew && { how: "create" as const }),
      };
      try {
        const upload = await files.write(params.ref, request, signal);
        await receiveUpload({ incoming, outgoing }, upload, relay);
        return json(200, await upload.report);
      } catch (error) {
        // What HTTP wants of a condition that does not hold.
        if (!isNew || !(error instanceof PlyboxError) || error.code !== "file/exists") throw error;
        throw new PlyboxError("file/changed", "there is a file already", { field: "if-none-match", cause: error });
      }
    },

    async downloadTar({ params, query, incoming, outgoing, signal }) {
      const head = { status: 200, headers: { "content-type": "application/x-tar", "cache-control": "no-store" } };
      const archive = await files.tarOut(params.ref, query, signal);
      if (incoming.method !== "HEAD") return await sendStream((to) => archive.pour(to), outgoing, head);
      archive.destroy();
      return sendHead(head);
    },

    async uploadTar({ params, query, incoming, outgoing, signal }) {
      const upload = await files.tarIn(params.ref, query, signal);
      await receiveUpload({ incoming, outgoing }, upload, relay);
      return json(200, await upload.report);
    },
  };
}

function treeHandlers(
  files: SandboxFiles,
): Part<"statFile" | "removeFile" | "makeDirectory" | "moveFile" | "chmodFile" | "chownFile" | "makeSymlink"> {
  return {
    async statFile({ params, query, signal }) {
      return json(200, statusView(await files.stat(params.ref, query, signal)));
    },

    async removeFile({ params, query }) {
      return json(200, await files.remove(params.ref, query));
    },

    async makeDirectory({ params, body: { mode, ...body } }) {
      return json(
        200,
        await files.mkdir(params.ref, { ...body, ...(mode !== undefined && { mode: parseMode(mode) }) }),
      );
    },

    async moveFile({ params, body }) {
      await files.move(params.ref, body);
      return noContent();
    },

    async chmodFile({ params, body }) {
      return json(200, await files.chmod(params.ref, { ...body, mode: parseMode(body.mode) }));
    },

    async chownFile({ params, body }) {
      return json(200, await files.chown(params.ref, body));
    },

    async makeSymlink({ params, body }) {
      await files.symlink(params.ref, body);
      return noContent();
    },
  };
}

function streamHandlers(
  files: SandboxFiles,
  options: ServerSentEventOptions,
): Part<"listFiles" | "searchFiles" | "watchFiles"> {
  return {
    async listFiles({ params, query, incoming, outgoing, signal }) {
      if (acceptsLines(incoming)) {
        return sendLines(await files.list(params.ref, query, signal), listedView, { incoming, outgoing });
      }
      const lines = await files.list(params.ref, { ...query, limit: query.limit ?? PAGE }, signal);
      const { items, end } = await collectLines(lines);
      return json(200, { entries: items.map(listedView), next: end.more ? (items.at(-1)?.path ?? null) : null });
    },

    async searchFiles({ params, query, incoming, outgoing, signal }) {
      if (query.name === undefined && query.content === undefined) {
        throw new PlyboxError("input/invalid", "name or content is needed", { field: "name" });
      }
      if (acceptsLines(incoming)) {
        return sendLines(await files.search(params.ref, query, signal), foundView, { incoming, outgoing });
      }
      const lines = await files.search(params.ref, { ...query, limit: query.limit ?? PAGE }, signal);
      const { items, end } = await collectLines(lines);
      return json(200, { matches: items.map(foundView), files: end.files, more: end.more });
    },

    async watchFiles({ params, query, signal: request }) {
      const gone = new AbortController();
      const changes = await files.watch(params.ref, query, AbortSignal.any([request, gone.signal]));
      return serverSentEvents(async function* (signal): AsyncGenerator<ServerSentEvent> {
        signal.addEventListener("abort", () => gone.abort(), { once: true });
        yield { event: "begin", data: {} };
        try {
          for await (const batch of changes) {
            for (const change of batch) yield { event: "change", data: change };
          }
        } catch (error) {
          // The reader went away, or the daemon stops: neither is told of as a failure of the watch.
          if (!signal.aborted) throw error;
        } finally {
          gone.abort();
        }
      }, options);
    },
  };
}

const parseMode = (octal: string): number => Number.parseInt(octal, 8);
