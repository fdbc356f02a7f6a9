import type { IncomingMessage } from "node:http";
import { deferred } from "../base/deferred.ts";
import type { MovedLayer, PullOptions, PushOptions, RemoteOptions, RemoteProgress } from "../model/remote.ts";
import { acceptsEvents, json } from "./answers.ts";
import type { MovedLayersView } from "./contract.ts";
import type { REMOTE_ROUTES } from "./remote-routes.ts";
import type { Handlers } from "./route.ts";
import type { ServerSentEvent, ServerSentEventOptions } from "./server-sent-events.ts";
import { serverSentEvents } from "./server-sent-events.ts";

/** What the API needs of the object storage. */
export interface RemoteStore {
  push(layers: readonly string[], options: PushOptions): Promise<readonly MovedLayer[]>;
  pull(layers: readonly string[], options: PullOptions): Promise<readonly MovedLayer[]>;
  sync(options: RemoteOptions): Promise<readonly MovedLayer[]>;
}

type Move = (options: RemoteOptions) => Promise<readonly MovedLayer[]>;

/** Between two events of progress. */
const PROGRESS_MS = 100;

export function remoteHandlers(remote: RemoteStore, options: ServerSentEventOptions): Handlers<typeof REMOTE_ROUTES> {
  const answer = async (incoming: IncomingMessage, signal: () => AbortSignal, move: Move): Promise<Response> =>
    acceptsEvents(incoming)
      ? serverSentEvents((gone) => eventsOf(move, gone), options)
      : json(200, view(await move({ signal: signal() })));
  return {
    pushLayers(call) {
      const { layers, replace = false } = call.body;
      return answer(
        call.incoming,
        () => call.signal,
        (how) => remote.push(layers, { replace, ...how }),
      );
    },
    pullLayers(call) {
      const { layers, replace = false, requireSignature = false } = call.body;
      const move: Move = (how) => remote.pull(layers, { replace, requireSignature, ...how });
      return answer(call.incoming, () => call.signal, move);
    },
    syncLayers(call) {
      return answer(
        call.incoming,
        () => call.signal,
        (how) => remote.sync(how),
      );
    },
  };
}

/** What is moved, as it goes: of progress the newest alone, for whoever reads slowly. */
async function* eventsOf(move: Move, signal: AbortSignal): AsyncGenerator<ServerSentEvent> {
  let newest: RemoteProgress | undefined;
  let news = deferred<void>();
  let toldAt = 0;
  const onProgress = (progress: RemoteProgress): void => {
    newest = progress;
    if (performance.now() - toldAt >= PROGRESS_MS) news.resolve();
  };
  const moving = move({ signal, onProgress });
  const ended = moving.then(
    () => true,
    () => true,
  );
  while ((await Promise.race([ended, news.promise])) !== true) {
    toldAt = performance.now();
    news = deferred();
    if (newest !== undefined) yield { event: "progress", data: newest };
  }
  yield { event: "moved", data: view(await moving) };
}

const view = (layers: readonly MovedLayer[]): MovedLayersView => ({ layers: [...layers] });
