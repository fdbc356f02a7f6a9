/** A request of the API, as far as those need to know it who watch over all of them. */
export interface ObservedRequest {
  /** Its operation id in the OpenAPI document. */
  readonly operation: string;
  readonly method: string;
  /** Of the route, such as `/v1/sandboxes/:ref`. */
  readonly path: string;
  /** Headers by their names in lower case. */
  readonly header: (name: string) => string | undefined;
}

/** What became of it; of a stream, that it has begun. */
export interface ObservedResult {
  readonly status: number;
  /** Of the error that was answered. */
  readonly code?: string | undefined;
  /** Id of the sandbox that it was about. */
  readonly sandbox?: string | undefined;
  readonly tenant?: string | undefined;
}

/** Watches one request. */
export interface RequestWatch {
  /** Serves the request; whatever that does is known to belong to it. */
  run<T>(serve: () => T): T;
  end(result: ObservedResult): void;
}

export interface RequestObserver {
  begin(request: ObservedRequest): RequestWatch;
}
