/** Something inside a sandbox that takes connections: a TCP port on its loopback, or a Unix socket. */
export type DialTarget =
  | {
      readonly port: number;
      /** Within 127.0.0.0/8, or `::1`; without it, 127.0.0.1 and then ::1. */
      readonly host?: string;
    }
  | {
      /** Absolute, inside the sandbox. */
      readonly socket: string;
    };

/** A TCP port that something listens on. */
export interface ListeningPort {
  readonly port: number;
  /** Such as `127.0.0.1`, `0.0.0.0` or `::`. */
  readonly addresses: readonly string[];
}
