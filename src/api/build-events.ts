import { setTimeout as delay } from "node:timers/promises";
import { deferred } from "../base/deferred.ts";
import type { BuildProgress } from "../model/layer.ts";
import type { ServerSentEvent } from "./server-sent-events.ts";

/** Nobody sees more of it. */
const AT_MOST_EVERY_MS = 100;

/** The progress of a build as events, of which a slow reader gets the latest, and what it made as the last one. */
export async function* buildEvents<Made extends object>(
  build: (onProgress: (progress: BuildProgress) => void) => Promise<Made>,
): AsyncGenerator<ServerSentEvent> {
  let latest: BuildProgress | undefined;
  let news = deferred<void>();
  let isOver = false;
  const building = build((progress) => {
    latest = progress;
    news.resolve();
  });
  const over = building.then(
    () => {},
    () => {},
  );
  void over.then(() => {
    isOver = true;
    news.resolve();
  });
  while (!isOver) {
    await news.promise;
    news = deferred<void>();
    if (latest !== undefined) yield { event: "progress", data: latest };
    latest = undefined;
    const pause = new AbortController();
    await Promise.race([over, delay(AT_MOST_EVERY_MS, undefined, { signal: pause.signal }).catch(() => {})]);
    pause.abort();
  }
  if (latest !== undefined) yield { event: "progress", data: latest };
  yield { event: "layer", data: await building };
}
