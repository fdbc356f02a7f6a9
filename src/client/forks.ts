import type { ForkBody, ForkView, SandboxView } from "../api/contract.ts";
import type { CallOptions, Connection } from "./connection.ts";

/** How many forks, and what they are called: the one by `name`, several by `name-1`, `name-2`… */
export type ForkOptions = ForkBody & CallOptions;

/** Forks, and the checkpoint that they were made from. */
export interface Forks<Fork> extends Omit<ForkView, "sandboxes"> {
  readonly sandboxes: readonly Fork[];
}

interface ForkRequest<Fork> extends CallOptions {
  readonly path: string;
  readonly body: ForkBody;
  /** Makes what a view is of. */
  readonly open: (view: SandboxView) => Fork;
}

export async function makeForks<Fork>(
  connection: Connection,
  { path, body, open, ...call }: ForkRequest<Fork>,
): Promise<Forks<Fork>> {
  const { sandboxes, ...made } = await connection.json<ForkView>("POST", path, body, call);
  return { ...made, sandboxes: sandboxes.map(open) };
}
