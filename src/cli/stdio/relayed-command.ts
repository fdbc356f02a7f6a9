import type { ExecReport, OutputStream, SignalScope } from "../../model/exec.ts";

/** How a command ended, as the API shows it. */
export type ExitReport = Omit<ExecReport, "code" | "exec"> & {
  readonly exec: string;
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
};

/** What a command's stream carries, in order; `exit` is last. */
export type RelayedEvent =
  | { readonly kind: "output"; readonly stream: OutputStream; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly stream: OutputStream }
  | { readonly kind: "lost"; readonly stream: OutputStream; readonly from: number; readonly to: number }
  | { readonly kind: "exit"; readonly report: ExitReport };

/** A command that runs in a sandbox of this process or of a daemon. */
export interface RelayedCommand extends AsyncIterable<RelayedEvent> {
  write(bytes: Uint8Array): Promise<void>;
  endInput(): Promise<void>;
  signal(signal: string, scope: SignalScope): Promise<void>;
  /** Stops listening: the iteration ends without `exit`. */
  close(): void;
}
