import { setTimeout as delay } from "node:timers/promises";
import { deferred } from "../base/deferred.ts";
import type { BuildProgress } from "../model/layer.ts";
import type { ServerSentEvent } from "./server-sent-events.ts";

/** Nobody sees more of it. */
const AT_MOST_EVERY_MS = 100;

/**
 * The progress of a build as events, of which a slow reader gets the latest of each activity, and what it made as the last
 * one.
 */
export async function* buildEvents<Made extends object>(
  build: (onProgress: (progress: BuildProgress) => void) => Promise<Made>,
): AsyncGenerator<ServerSentEvent> {
  const latest: BuildProgress[] = [];
  let news = deferred<void>();
  let isOver = false;
  const building = build((progress) => {
    const last = latest.at(-1);
    if (last !== undefined && isSameActivity(last, progress)) latest.pop();
    latest.push(progress);
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
    for (const data of latest.splice(0)) yield { event: "progress", data };
    const pause = new AbortController();
    await Promise.race([over, delay(AT_MOST_EVERY_MS, undefined, { signal: pause.signal }).catch(() => {})]);
    pause.abort();
  }
  for (const data of latest) yield { event: "progress", data };
  yield { event: "layer", data: await building };
}

const isSameActivity = (one: BuildProgress, other: BuildProgress): boolean =>
  one.step === other.step && one.instruction?.index === other.instruction?.index;
