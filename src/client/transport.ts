/** One HTTP request; `path` begins with `/v1`. */
export interface TransportRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** How many bytes a body that is a stream will give, where that is known. */
  readonly bodyBytes?: number;
  readonly signal?: AbortSignal;
}

/** One HTTP answer. Its body is read once: as text, or as chunks; leaving the chunks early drops the connection. */
export interface TransportResponse {
  readonly status: number;
  /** Lower-case names; a header that came twice is there twice. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  text(): Promise<string>;
  chunks(): AsyncIterable<Uint8Array>;
}

/** A request to leave HTTP for another protocol. */
export interface UpgradeRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocol: string;
  readonly signal?: AbortSignal;
}

/** How requests get to the daemon. `send` throws `daemon/unreachable`, or the signal's reason. */
export interface Transport {
  send(request: TransportRequest): Promise<TransportResponse>;
  /** Throws also the daemon's refusal, and a TypeError where there is no Node. */
  upgrade(request: UpgradeRequest): Promise<BareConnection>;
  /** Of the daemon on TCP; null on a Unix socket. */
  readonly baseUrl: string | null;
  /** Drops idle connections. */
  close(): void;
}

/** A Node `Duplex`, told without the types of Node: a project for browsers has none of them, and never gets one. */
export interface BareConnection {
  readonly destroyed: boolean;
  destroy(): unknown;
}
