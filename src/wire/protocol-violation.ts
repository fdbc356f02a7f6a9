/** Which rule of docs/protocol.md a peer broke: the frame's length, its kind, its payload, or its place. */
export type ViolationReason = "length" | "kind" | "payload" | "sequence";

/** Thrown by codecs and readers on what a peer may not send; the link that catches it ends with it as `cause`. */
export class ProtocolViolation extends Error {
  override readonly name = "ProtocolViolation";
  readonly reason: ViolationReason;

  constructor(reason: ViolationReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
