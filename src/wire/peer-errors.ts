import type { ErrorCode } from "../model/errors.ts";
import { PlyboxError } from "../model/errors.ts";
import type { ErrorMessage } from "./messages.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

export type Peer = "agent" | "launcher";

interface PeerCodes {
  /** What the peer's own codes mean to a user. */
  readonly refusals: ReadonlyMap<string, ErrorCode>;
  /** Every other refusal. */
  readonly refused: ErrorCode;
  /** The peer broke the protocol, or says that we did. */
  readonly protocol: ErrorCode;
  /** The connection ended. */
  readonly unreachable: ErrorCode;
}

/** How the codes of docs/protocol.md become ours; the only place that maps them. */
const PEERS: Readonly<Record<Peer, PeerCodes>> = {
  agent: {
    refusals: new Map<string, ErrorCode>([
      ["not-found", "exec/program-not-found"],
      ["not-executable", "exec/not-executable"],
      ["exec-not-found", "exec/not-found"],
      ["exec-exists", "exec/exists"],
      ["replaced", "exec/output-replaced"],
      ["unsupported", "host/missing"],
      ["busy", "execution/busy"],
    ]),
    refused: "exec/refused",
    protocol: "agent/protocol",
    unreachable: "agent/unreachable",
  },
  launcher: {
    refusals: new Map(),
    refused: "launcher/failed",
    protocol: "launcher/failed",
    unreachable: "launcher/failed",
  },
};

/** What the codes of a file request mean; every other one is `file/failed`. */
const FILE_CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ["no-such-file", "file/not-found"],
  ["file-exists", "file/exists"],
  ["not-a-directory", "file/not-a-directory"],
  ["is-a-directory", "file/is-a-directory"],
  ["not-a-file", "file/not-regular"],
  ["not-empty", "file/not-empty"],
  ["permission-denied", "file/permission-denied"],
  ["read-only", "file/permission-denied"],
  ["changed", "file/changed"],
  ["bad-archive", "file/bad-archive"],
  ["no-space", "file/no-space"],
  ["bad-request", "input/invalid"],
  ["bad-user", "input/invalid"],
  ["bad-pattern", "input/invalid"],
  ["name-too-long", "input/invalid"],
]);

export const fileCode = (code: string): ErrorCode => FILE_CODES.get(code) ?? "file/failed";

/** What the agent's refusal of a file request means; any other error stays what it is. */
export function fileError(error: PlyboxError): PlyboxError {
  if (!(error.cause instanceof PeerRefusal)) return error;
  const { field, step, errno } = error;
  return new PlyboxError(fileCode(error.cause.code), error.message, {
    ...(field !== undefined && { field }),
    ...(step !== undefined && { step }),
    ...(errno !== undefined && { errno }),
    cause: error,
  });
}

/** The `cause` of a refusal: `code` is the peer's own, such as `already-mounted`. */
export class PeerRefusal extends Error {
  override readonly name = "PeerRefusal";
  readonly code: string;

  constructor(code: string) {
    super(`the peer answered ${code}`);
    this.code = code;
  }
}

/** What a peer's `error` on a request's channel means to the caller. */
export function refusal(peer: Peer, { code, message, ...detail }: ErrorMessage): PlyboxError {
  const { refusals, refused } = PEERS[peer];
  return new PlyboxError(refusals.get(code) ?? refused, message, { ...detail, cause: new PeerRefusal(code) });
}

/** What a peer's `error` on channel 0 means: it ends the link. */
export function connectionRefusal(peer: Peer, { code, message }: ErrorMessage): PlyboxError {
  const cause = new PeerRefusal(code);
  return new PlyboxError(PEERS[peer].protocol, `the ${peer} ended the link: ${message} (${code})`, { cause });
}

export function violation(peer: Peer, cause: Error): PlyboxError {
  return new PlyboxError(PEERS[peer].protocol, `the ${peer} broke the protocol: ${cause.message}`, { cause });
}

/** Whether a link ended because its peer broke the protocol, which is that peer's fault alone. */
export const isViolation = (error: PlyboxError): boolean => error.cause instanceof ProtocolViolation;

export function unreachable(peer: Peer, why: string, cause?: unknown): PlyboxError {
  return new PlyboxError(PEERS[peer].unreachable, `the ${peer} cannot be reached: ${why}`, { cause });
}
