import type { ObservedRequest, ObservedResult, RequestObserver } from "../model/request-observer.ts";

/** Serves a request before the eyes of the observers; `serve` says what became of it. */
export async function observe<T>(
  observers: readonly RequestObserver[],
  request: ObservedRequest,
  serve: (note: (result: ObservedResult) => void) => Promise<T>,
): Promise<T> {
  const watches = observers.map((observer) => observer.begin(request));
  let result: ObservedResult = { status: 500 };
  const work = (): Promise<T> =>
    serve((known) => {
      result = known;
    });
  try {
    return await watches.reduceRight<() => Promise<T>>((inner, watch) => () => watch.run(inner), work)();
  } finally {
    for (const watch of watches) watch.end(result);
  }
}
