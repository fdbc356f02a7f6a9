/** One HTTP request; `path` begins with `/v1`. */
export interface TransportRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** One HTTP answer. Its body is read once: as text, or as chunks; leaving the chunks early drops the connection. */
export interface TransportResponse {
  readonly status: number;
  text(): Promise<string>;
  chunks(): AsyncIterable<Uint8Array>;
}

/** How requests get to the daemon. `send` throws `daemon/unreachable`, or the signal's reason. */
export interface Transport {
  send(request: TransportRequest): Promise<TransportResponse>;
  /** Drops idle connections. */
  close(): void;
}
