import type { Frame } from "./frame.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

/** What may still be under way on a channel that this side has closed: the widest window, and what its end takes. */
const CROSSING_BYTES = 2 * 1024 * 1024;
/** What is passed over of a peer that has ended a channel itself. */
const TRAILING_BYTES = 131_072;
/** Of any number of channels. */
const MOST_BYTES = 64 * 1024 * 1024;
/** What a frame counts for beside its bytes. */
const FRAME_BYTES = 64;
/** JSON takes longer than other payloads; a channel has three such frames. */
const JSON_BYTES = 65_536;

/**
 * Counts the frames of a peer that are of no use: those on channels that are over, some of which cross the end on their
 * way, and those that carry nothing. Each costs time and no credit, so a peer that goes on with them is at fault.
 */
export class StrayFrames {
  #left = TRAILING_BYTES;

  /** This side has closed a channel. */
  closed(): void {
    this.#allow(CROSSING_BYTES);
  }

  /** The peer has ended a channel. */
  ended(): void {
    this.#allow(TRAILING_BYTES);
  }

  /** @throws ProtocolViolation `sequence` on more than can have crossed */
  pass(frame: Frame): void {
    const bytes = frame.kind === "data" ? frame.bytes.length : 0;
    this.#left -= FRAME_BYTES + bytes + ("json" in frame ? JSON_BYTES : 0);
    if (this.#left < 0) throw new ProtocolViolation("sequence", `${frame.kind} frames come on and on that say nothing`);
  }

  #allow(bytes: number): void {
    this.#left = Math.min(MOST_BYTES, this.#left + bytes);
  }
}

/** Whether a frame tells nothing that its reader did not know. */
export const isVoid = (frame: Frame): boolean =>
  (frame.kind === "data" && frame.bytes.length === 0) || (frame.kind === "credit" && frame.bytes === 0);
