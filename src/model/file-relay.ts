import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** One stream of a file operation at the edge of a frame: what whoever goes on with it has to know. */
export interface LentStream {
  /** To the agent. Its owner neither reads nor writes it meanwhile. */
  readonly connection: Duplex;
  readonly channel: number;
  /** Bytes of the stream that have passed so far. */
  readonly offset: number;
  /** What the sender may send before it is granted more, in bytes. */
  readonly credit: number;
  /** How many more bytes are to pass. */
  readonly bytes: number;
  /** Its abort ends the carrying; both connections are lost then. */
  readonly signal: AbortSignal;
}

/** How far a lent stream has come. */
export interface Carried {
  readonly moved: number;
  readonly credit: number;
  /** `agent`: it has gone, or what it says next is for the stream's owner to read. */
  readonly end: "done" | "client" | "agent";
}

/** Takes a stream on in place of its owner. Rejects where nobody can say how far it has come. */
export type Carry = (lent: LentStream) => Promise<Carried>;

/** Moves a stream's bytes between a client's connection and the agent's, past this process. */
export interface Relay {
  fromClient(client: Socket, lent: LentStream): Promise<Carried>;
  toClient(client: Socket, lent: LentStream): Promise<Carried>;
}
